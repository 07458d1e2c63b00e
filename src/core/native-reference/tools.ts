/** The tools that read a store by themselves: how each is told, and from which stores it can read. */
import { SecretsError } from '../errors.ts';
import { cdk, cloudformation, ecs, lambda } from './aws.ts';
import { awsCsi, csi, externalSecrets } from './kubernetes.ts';
import { azureApp, cloudRun, github, gitlab } from './services.ts';
import type { Names, NativeSecret, Writer } from './secret.ts';

export interface Tool {
  readonly title: string;
  /** Kinds of providers that it can read from. */
  readonly reads: readonly string[];
  /** Kinds of which it needs the service's own identifier. */
  readonly byId?: readonly string[];
  readonly write: Writer;
  /** What has to be known besides what is printed. */
  readonly note?: string;
}

export const TOOLS: Readonly<Record<string, Tool>> = {
  cloudformation: { title: 'CloudFormation', reads: ['aws'], write: cloudformation },
  cdk: { title: 'the CDK', reads: ['aws'], write: cdk },
  ecs: { title: 'ECS', reads: ['aws'], byId: ['aws'], write: ecs },
  lambda: {
    title: 'the Lambda extension',
    reads: ['aws'],
    write: lambda,
    note: 'the request needs the header X-Aws-Parameters-Secrets-Token, with the function’s AWS_SESSION_TOKEN',
  },
  'eks-csi': { title: 'the CSI driver of EKS', reads: ['aws'], write: awsCsi },
  'external-secrets': {
    title: 'External Secrets',
    reads: ['aws', 'azure', 'gcp', 'vault', 'conjur'],
    byId: ['azure'],
    write: externalSecrets,
  },
  kubernetes: {
    title: 'the Secrets Store CSI driver',
    reads: ['aws', 'azure', 'gcp', 'vault'],
    byId: ['azure', 'gcp'],
    write: csi,
  },
  github: { title: 'GitHub Actions', reads: ['aws', 'gcp', 'vault'], byId: ['gcp'], write: github },
  gitlab: {
    title: 'GitLab',
    reads: ['aws', 'azure', 'gcp', 'vault'],
    byId: ['azure', 'gcp'],
    write: gitlab,
  },
  'azure-app': { title: 'App Service', reads: ['azure'], byId: ['azure'], write: azureApp },
  'cloud-run': { title: 'Cloud Run', reads: ['gcp'], byId: ['gcp'], write: cloudRun },
};

/** @throws SecretsError Unsupported if the tool can't read from this kind of store */
export function toolFor(name: string, secret: Pick<NativeSecret, 'provider' | 'title' | 'text'>): Tool {
  const tool = TOOLS[name] as Tool;
  if (tool.reads.includes(secret.provider)) return tool;
  const others = Object.keys(TOOLS).filter((other) => TOOLS[other]?.reads.includes(secret.provider) === true);
  throw new SecretsError('Unsupported', `${tool.title} can’t read from this store (${secret.title})`, {
    reference: secret.text,
    hint:
      others.length === 0
        ? `secrets copy takes it to a store that ${tool.title} reads (${tool.reads.join(', ')}); or use secrets exec`
        : `what can: ${others.join(', ')}; or use secrets exec`,
  });
}

/** The names under which a secret is used, made from its key or name unless one is given. */
export function namesFor(secret: Pick<NativeSecret, 'name' | 'key' | 'text'>, given?: string): Names {
  const last = secret.name.slice(secret.name.search(/[^/:]*$/));
  const made = secret.key === undefined ? last : `${last}_${secret.key}`;
  const variable = (given ?? made.toUpperCase()).replaceAll(/\W/g, '_').replace(/^(?=\d)/, '_');
  const object = (given ?? secret.name)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(-63)
    .replaceAll(/^-+|-+$/g, '');
  return { variable, object: object || 'secret' };
}
