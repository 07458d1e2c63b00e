/** References for CI systems and the clouds' application platforms. */
import { vaultPath } from './kubernetes.ts';
import {
  awsStage,
  currentOnly,
  type NativeSecret,
  pinnedVersion,
  plainKey,
  quote,
  refuse,
  SIMPLE_KEY,
  wholeOnly,
  type Writer,
} from './secret.ts';

/**
 * The project, which these readers are told elsewhere.
 * @throws SecretsError Unsupported for a regional secret, which they would look for among the global ones
 */
function globalProject(secret: NativeSecret, tool: string): string {
  const [, project, rest] = /^projects\/([^/]+)\/(\w+)\//.exec(secret.id ?? '') ?? [];
  if (project === undefined)
    throw refuse(secret, 'the store didn’t give the secret’s name', 'allow secretmanager.secrets.get');
  if (rest === 'secrets') return project;
  throw refuse(secret, `${tool} reads no regional secrets`, 'use a global secret, or secrets exec');
}

const lastPart = (id: string): string => id.slice(id.lastIndexOf('/') + 1);

/** https://learn.microsoft.com/azure/app-service/app-service-key-vault-references */
export const azureApp: Writer = (secret) => {
  wholeOnly(secret, 'App Service');
  const version = pinnedVersion(secret);
  if (secret.id === undefined) throw refuse(secret, 'the store didn’t give the secret’s URL', 'check it');
  return `@Microsoft.KeyVault(SecretUri=${secret.id}${version === undefined ? '' : `/${version}`})\n`;
};

/** https://cloud.google.com/run/docs/configuring/services/secrets */
export const cloudRun: Writer = (secret, { variable }) => {
  wholeOnly(secret, 'Cloud Run');
  const project = globalProject(secret, 'Cloud Run');
  const elsewhere = `${secret.name}:projects/${project}/secrets/${secret.name}`;
  return `# For a service of the project ${project}. Another one needs this annotation in spec.template.metadata:
# run.googleapis.com/secrets: ${quote(elsewhere)}
- name: ${variable}
  valueFrom:
    secretKeyRef:
      name: ${quote(secret.name)}
      key: ${quote(pinnedVersion(secret) ?? 'latest')}
`;
};

/** One line of `name: "value"` each, for those that are there. */
function fields(indent: number, values: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(values)
    .flatMap(([name, value]) =>
      value === undefined ? [] : [`${' '.repeat(indent)}${name}: ${quote(value)}\n`],
    )
    .join('');
}

/** https://docs.gitlab.com/ci/secrets/ : the runner reads the secret into a file, and the variable names that file. */
const GITLAB: Readonly<Record<string, (secret: NativeSecret) => string>> = {
  aws: (secret) =>
    `    aws_secrets_manager:\n${fields(6, {
      secret_id: secret.name,
      field: plainKey(secret, 'GitLab', SIMPLE_KEY),
      version_stage: awsStage(secret),
      version_id: secret.version,
      region: secret.place.region,
    })}`,
  azure: (secret) => {
    wholeOnly(secret, 'GitLab');
    const name = lastPart(secret.id ?? secret.name);
    return `    azure_key_vault:\n${fields(6, { name, version: pinnedVersion(secret) })}`;
  },
  gcp: (secret) => {
    wholeOnly(secret, 'GitLab');
    const project = globalProject(secret, 'GitLab');
    const fieldsOf = fields(6, { name: secret.name, version: pinnedVersion(secret) });
    return `    # GCP_PROJECT_NUMBER has to be the number of the project ${project}. The job has to have the token, whose audience
    # is the provider of the workload identity pool: id_tokens: { GCP_ID_TOKEN: { aud: … } }
    gcp_secret_manager:\n${fieldsOf}    token: $GCP_ID_TOKEN\n`;
  },
  vault: (secret) => {
    currentOnly(secret, 'GitLab');
    const key = neededKey(secret, 'GitLab');
    const { mount = 'secret', kvVersion } = secret.place;
    const engine = fields(8, { name: kvVersion === 1 ? 'kv-v1' : 'kv-v2', path: mount });
    return `    vault:\n      engine:\n${engine}${fields(6, { path: secret.name, field: key })}`;
  },
};

export const gitlab: Writer = (secret, { variable }) =>
  `secrets:\n  ${variable}:\n${(GITLAB[secret.provider] as (typeof GITLAB)[string])(secret)}`;

/** The clouds' own actions, which sign in with the job's token and mask what they read. */
const GITHUB: Readonly<Record<string, (secret: NativeSecret, variable: string) => string>> = {
  aws: (secret, variable) => {
    wholeOnly(secret, 'The action');
    currentOnly(secret, 'The action');
    return step(
      'aws-actions/aws-secretsmanager-get-secrets@v2',
      after('aws-actions/configure-aws-credentials'),
      '',
      ['secret-ids: |', `  ${variable}, ${secret.name}`],
    );
  },
  gcp: (secret, variable) => {
    wholeOnly(secret, 'The action');
    const project = globalProject(secret, 'The action');
    const version = pinnedVersion(secret) ?? 'latest';
    return step(
      'google-github-actions/get-secretmanager-secrets@v2',
      after('google-github-actions/auth'),
      '  id: secrets\n',
      ['secrets: |-', `  ${variable}:${project}/${secret.name}/${version}`],
    );
  },
  vault: (secret, variable) => {
    currentOnly(secret, 'The action');
    const key = neededKey(secret, 'The action');
    if (!/^[\w./-]+$/.test(vaultPath(secret)))
      throw refuse(
        secret,
        'the action can’t name a path with these characters',
        'use secrets exec in the job',
      );
    const { address, namespace } = secret.place;
    const url = address === undefined ? [] : [`url: ${quote(address)}`];
    const space = namespace === undefined ? [] : [`namespace: ${quote(namespace)}`];
    return step('hashicorp/vault-action@v3', JWT, '', [
      ...[...url, ...space, 'method: jwt', 'secrets: |'],
      `  ${vaultPath(secret)} ${key} | ${variable}`,
    ]);
  },
};

const after = (action: string): string =>
  `# After a step that signs in (${action}), in a job with permissions: id-token: write`;
const JWT =
  '# In a job with permissions: id-token: write. Add role: the role of the JWT sign-in, if its mount has no default';

function step(action: string, before: string, more: string, lines: readonly string[]): string {
  return `${before}\n- uses: ${action}\n${more}  with:\n${lines.map((line) => `    ${line}\n`).join('')}`;
}

export const github: Writer = (secret, { variable }) =>
  (GITHUB[secret.provider] as (typeof GITHUB)[string])(secret, variable);

function neededKey(secret: NativeSecret, tool: string): string {
  const key = plainKey(secret, tool, SIMPLE_KEY);
  if (key !== undefined) return key;
  throw refuse(secret, `${tool} reads single keys of a Vault secret`, 'add #key');
}
