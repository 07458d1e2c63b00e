/** Manifests that make a cluster read the store: External Secrets, and the Secrets Store CSI driver. */
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

/** A key of a Kubernetes Secret, and a file in a volume. */
function fileName(secret: NativeSecret): string {
  const last = secret.key ?? secret.name.slice(secret.name.search(/[^/:]*$/));
  return last.replaceAll(/[^\w.-]/g, '-') || 'value';
}

/** What External Secrets calls the secret and its version; its `property` is a path, so keys are kept simple. */
const REMOTE: Readonly<Record<string, (secret: NativeSecret) => Readonly<Record<string, string>>>> = {
  aws: (secret) => {
    const { version } = secret;
    const pinned = version === undefined ? awsStage(secret) : `uuid/${version}`;
    return { key: secret.name, ...(pinned !== undefined && { version: pinned }) };
  },
  azure: (secret) => versioned(`secret/${lastPart(secret.id ?? secret.name)}`, secret),
  gcp: (secret) => versioned(secret.name, secret),
  vault: (secret) => versioned(secret.name, secret),
  conjur: (secret) => {
    currentOnly(secret, 'External Secrets');
    return { key: secret.name };
  },
};

function versioned(key: string, secret: NativeSecret): Readonly<Record<string, string>> {
  const version = pinnedVersion(secret);
  return { key, ...(version !== undefined && { version }) };
}

const lastPart = (id: string): string => id.slice(id.lastIndexOf('/') + 1);

export const externalSecrets: Writer = (secret, { object }) => {
  const property = plainKey(secret, 'External Secrets', SIMPLE_KEY);
  const remote = {
    ...(REMOTE[secret.provider] as (typeof REMOTE)[string])(secret),
    ...(property !== undefined && { property }),
  };
  const lines = Object.entries(remote).map(([name, value]) => `        ${name}: ${quote(value)}`);
  return `# Needs a SecretStore named ${secret.store.replaceAll('_', '-')} for ${secret.title}.
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: ${quote(object)}
spec:
  refreshInterval: 1h
  secretStoreRef:
    kind: SecretStore
    name: ${quote(secret.store.replaceAll('_', '-'))}
  target:
    name: ${quote(object)}
  data:
    - secretKey: ${quote(fileName(secret))}
      remoteRef:
${lines.join('\n')}
`;
};

/** https://github.com/aws/secrets-store-csi-driver-provider-aws */
export const awsCsi: Writer = (secret, { object }) => {
  const key = plainKey(secret, 'The CSI driver', SIMPLE_KEY);
  const stage = awsStage(secret);
  const { region } = secret.place;
  const lines = [`- objectName: ${quote(secret.name)}`, '  objectType: secretsmanager'];
  if (stage !== undefined) lines.push(`  objectVersionLabel: ${quote(stage)}`);
  if (secret.version !== undefined) lines.push(`  objectVersion: ${quote(secret.version)}`);
  // In double quotes a name of JMESPath may have any character.
  if (key !== undefined)
    lines.push(
      '  jmesPath:',
      `    - path: ${quote(JSON.stringify(key))}`,
      `      objectAlias: ${quote(fileName(secret))}`,
    );
  return providerClass(object, 'aws', { ...(region !== undefined && { region }) }, 'objects', lines);
};

const CSI: Readonly<Record<string, Writer>> = {
  aws: awsCsi,
  /** https://azure.github.io/secrets-store-csi-driver-provider-azure/ */
  azure: (secret, { object }) => {
    wholeOnly(secret, 'The CSI driver');
    const version = pinnedVersion(secret);
    const name = lastPart(secret.id ?? secret.name);
    const lines = ['array:', '  - |', `    objectName: ${quote(name)}`, '    objectType: secret'];
    if (version !== undefined) lines.push(`    objectVersion: ${quote(version)}`);
    const vault = /^https:\/\/([^./]+)\./.exec(secret.id ?? '')?.[1];
    if (vault === undefined)
      throw refuse(secret, 'the CSI driver needs a vault of Azure’s own', 'check the store’s vault');
    const more = '# Add clientID (workload identity) and tenantId to the parameters.\n';
    return `${more}${providerClass(object, 'azure', { keyvaultName: vault }, 'objects', lines)}`;
  },
  /** https://github.com/GoogleCloudPlatform/secrets-store-csi-driver-provider-gcp */
  gcp: (secret, { object }) => {
    wholeOnly(secret, 'The CSI driver');
    if (secret.id === undefined) throw refuse(secret, 'the store didn’t give the secret’s name', 'check it');
    const lines = [
      `- resourceName: ${quote(`${secret.id}/versions/${pinnedVersion(secret) ?? 'latest'}`)}`,
      `  path: ${quote(fileName(secret))}`,
    ];
    return providerClass(object, 'gcp', {}, 'secrets', lines);
  },
  /** https://developer.hashicorp.com/vault/docs/deploy/kubernetes/csi */
  vault: (secret, { object }) => {
    currentOnly(secret, 'The CSI driver');
    const key = plainKey(secret, 'The CSI driver', SIMPLE_KEY);
    if (key === undefined)
      throw refuse(secret, 'the CSI driver mounts single keys of a Vault secret', 'add #key');
    const lines = [
      `- objectName: ${quote(fileName(secret))}`,
      `  secretPath: ${quote(vaultPath(secret))}`,
      `  secretKey: ${quote(key)}`,
    ];
    const { address, namespace } = secret.place;
    const parameters = {
      ...(address !== undefined && { vaultAddress: address }),
      ...(namespace !== undefined && { vaultNamespace: namespace }),
    };
    const more = '# Add roleName, the role of Vault’s Kubernetes sign-in, to the parameters.\n';
    return `${more}${providerClass(object, 'vault', parameters, 'objects', lines)}`;
  },
};

export const csi: Writer = (secret, names) => (CSI[secret.provider] as Writer)(secret, names);

/** The path of the API: KV v2 has `data/` after the mount. */
export function vaultPath({ name, place: { mount = 'secret', kvVersion } }: NativeSecret): string {
  return `${mount}/${kvVersion === 1 ? '' : 'data/'}${name}`;
}

function providerClass(
  object: string,
  provider: string,
  parameters: Readonly<Record<string, string>>,
  list: string,
  lines: readonly string[],
): string {
  const more = Object.entries(parameters).map(([name, value]) => `    ${name}: ${quote(value)}\n`);
  return `apiVersion: secrets-store.csi.x-k8s.io/v1
kind: SecretProviderClass
metadata:
  name: ${quote(object)}
spec:
  provider: ${provider}
  parameters:
${more.join('')}    ${list}: |
${lines.map((line) => `      ${line}\n`).join('')}`;
}
