/**
 * A double of Secrets Manager for what moto can't be told: whether the first version of a secret gets AWSCURRENT by
 * itself, and which actions a caller lacks. It knows versions and their labels, and no signature.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Env } from '../aws.ts';

export interface LabelsOptions {
  /** As the documentation of PutSecretValue has it; else a first version has the labels that were asked for alone. */
  readonly firstIsCurrent: boolean;
}

export interface Labels {
  readonly url: string;
  readonly env: Env;
  /** Makes a secret without a value. @returns its ARN */
  make(name: string): string;
  /** The labels of each version that has some, without those of other meaning than AWS's own. */
  labels(name: string): readonly (readonly string[])[];
  /** Actions that the caller lacks from now on. */
  denied: readonly string[];
  /** The action that does its work once more and gives no answer. */
  lost: string | undefined;
  /** Every action since the start. */
  readonly actions: string[];
  stop(): Promise<void>;
}

interface Version {
  readonly value: string;
  readonly createdAt: number;
  labels: string[];
}
interface Secret {
  readonly name: string;
  readonly arn: string;
  readonly tags: Map<string, string>;
  readonly versions: Map<string, Version>;
}
/** What is read of a request's body. */
interface Asked {
  readonly SecretId: string;
  readonly Name: string;
  readonly ClientRequestToken: string;
  readonly SecretString?: string;
  readonly SecretBinary?: string;
  readonly VersionStages?: string[];
  readonly VersionStage?: string;
  readonly VersionId?: string;
  readonly RemoveFromVersionId?: string;
  readonly MoveToVersionId?: string;
  readonly Tags?: readonly { readonly Key: string; readonly Value: string }[];
  readonly TagKeys?: readonly string[];
}

class Refusal extends Error {
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}

export async function startLabels({ firstIsCurrent }: LabelsOptions): Promise<Labels> {
  const secrets = new Map<string, Secret>();
  const make = (name: string): Secret => {
    const arn = `arn:aws:secretsmanager:eu-west-1:123456789012:secret:${name}-AbCdEf`;
    const secret = { name, arn, tags: new Map<string, string>(), versions: new Map<string, Version>() };
    for (const id of [name, arn]) secrets.set(id, secret);
    return secret;
  };
  const of = (id: string): Secret => {
    const found = secrets.get(id);
    if (found !== undefined) return found;
    throw new Refusal('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
  };
  const holder = ({ versions }: Secret, label: string): string | undefined =>
    [...versions].find(([, { labels }]) => labels.includes(label))?.[0];
  const give = (secret: Secret, label: string, to: string | undefined): void => {
    const from = holder(secret, label);
    for (const version of secret.versions.values())
      version.labels = version.labels.filter((one) => one !== label);
    if (to !== undefined) secret.versions.get(to)?.labels.push(label);
    if (label === 'AWSCURRENT' && from !== undefined && from !== to) give(secret, 'AWSPREVIOUS', from);
  };
  const write = (secret: Secret, asked: Asked, labels: readonly string[]): object => {
    const { ClientRequestToken: id, SecretString: text, SecretBinary: binary } = asked;
    const value = JSON.stringify(text === undefined ? { SecretBinary: binary } : { SecretString: text });
    const known = secret.versions.get(id);
    if (known !== undefined && known.value !== value)
      throw new Refusal('ResourceExistsException', 'You can’t modify an existing version.');
    if (known === undefined) {
      const first = secret.versions.size === 0 && firstIsCurrent ? ['AWSCURRENT'] : [];
      secret.versions.set(id, { value, createdAt: Date.now() / 1000, labels: [] });
      for (const label of new Set([...labels, ...first])) give(secret, label, id);
    }
    return { ARN: secret.arn, Name: secret.name, VersionId: id };
  };
  const actions: Readonly<Record<string, (asked: Asked) => object>> = {
    CreateSecret: (asked) => {
      if (secrets.has(asked.Name)) throw new Refusal('ResourceExistsException', 'The secret already exists.');
      return write(make(asked.Name), asked, ['AWSCURRENT']);
    },
    PutSecretValue: (asked) => write(of(asked.SecretId), asked, asked.VersionStages ?? ['AWSCURRENT']),
    UpdateSecretVersionStage: ({ SecretId, VersionStage: label = '', ...asked }) => {
      const secret = of(SecretId);
      const { RemoveFromVersionId: from, MoveToVersionId: to } = asked;
      const held = holder(secret, label);
      if (held !== undefined && held !== to && held !== from)
        throw new Refusal('InvalidParameterException', `Staging label ${label} is attached to ${held}.`);
      if (from !== undefined && held !== from)
        throw new Refusal('InvalidParameterException', `Staging label ${label} is not attached to ${from}.`);
      give(secret, label, to);
      return { ARN: secret.arn, Name: secret.name };
    },
    DescribeSecret: ({ SecretId }) => {
      const { arn, name, tags, versions } = of(SecretId);
      return {
        ARN: arn,
        Name: name,
        Tags: [...tags].map(([Key, Value]) => ({ Key, Value })),
        VersionIdsToStages: Object.fromEntries([...versions].map(([id, { labels }]) => [id, labels])),
      };
    },
    GetSecretValue: ({ SecretId, VersionId, VersionStage = 'AWSCURRENT' }) => {
      const secret = of(SecretId);
      const id = VersionId ?? holder(secret, VersionStage);
      const version = id === undefined ? undefined : secret.versions.get(id);
      if (version === undefined)
        throw new Refusal(
          'ResourceNotFoundException',
          `Secrets Manager can't find the specified secret value for staging label: ${VersionStage}`,
        );
      const { value, labels, createdAt } = version;
      const { arn, name } = secret;
      const found = JSON.parse(value) as object;
      return { ARN: arn, Name: name, VersionId: id, VersionStages: labels, CreatedDate: createdAt, ...found };
    },
    TagResource: ({ SecretId, Tags = [] }) => {
      for (const { Key, Value } of Tags) of(SecretId).tags.set(Key, Value);
      return {};
    },
    UntagResource: ({ SecretId, TagKeys = [] }) => {
      for (const key of TagKeys) of(SecretId).tags.delete(key);
      return {};
    },
  };

  const double = {
    denied: [] as readonly string[],
    lost: undefined as string | undefined,
    actions: [] as string[],
  };
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const action = String(request.headers['x-amz-target']).replace('secretsmanager.', '');
    const say = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
      response.end(JSON.stringify(body));
    };
    double.actions.push(action);
    try {
      if (double.denied.includes(action))
        throw new Refusal('AccessDeniedException', `not authorized to perform: secretsmanager:${action}`);
      const work = actions[action];
      if (work === undefined) throw new Refusal('InternalServiceError', `the double has no ${action}`);
      const body = work(JSON.parse(Buffer.concat(pieces).toString()) as Asked);
      if (action === double.lost) request.socket.destroy();
      else say(200, body);
    } catch (thrown) {
      const { name, message } = thrown as Error;
      say(name === 'InternalServiceError' ? 500 : 400, { __type: name, message });
    }
  };
  const server = http.createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(double, {
    url,
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIADOUBLEDOUBLEDOUB',
      AWS_SECRET_ACCESS_KEY: 'double',
    },
    make: (name: string) => make(name).arn,
    labels: (name: string) =>
      [...of(name).versions.values()]
        .map(({ labels }) => labels.filter((label) => label.startsWith('AWS')))
        .filter((labels) => labels.length > 0),
    stop: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}
