/** AWS with the Lambda functions that the tests of its rotation use, and the service's own client beside the program. */
import { randomBytes } from 'node:crypto';
import { type Aws, type Env, startAws } from '../backends/aws.ts';
import { functionArn, type RotationEvent } from '../backends/functions.ts';
import { type Row, type Runs, usePlace } from './native-kit.ts';

type Sdk = typeof import('@aws-sdk/client-secrets-manager');
type Client = InstanceType<Sdk['SecretsManagerClient']>;

export const ROTATES = functionArn('rotates');
export const OTHER = functionArn('other');
/** Fails in its second step. */
export const FAILS = functionArn('fails');
/** Waits in its second step until it is released. */
export const SLOW = functionArn('slow');
/** Waits in its first step until it is released, and makes nothing. */
export const SILENT = functionArn('silent');

export interface AwsRuns extends Runs {
  readonly aws: Aws;
  readonly sdk: Sdk;
  readonly client: Client;
  /** Who the program is, until the next test. */
  env: Env;
  /** Lets the function that waits go on. */
  release(): void;
  /** All that the server knows of a secret. */
  state(name: string): Promise<Readonly<Record<string, unknown>>>;
  stagesOf(name: string): Promise<Readonly<Record<string, string[]>>>;
  rowOf(reference: string): Promise<Row | undefined>;
}

/** Starts and ends it around the tests of a `describe`. */
export function useAws(): AwsRuns {
  let aws: Aws | undefined;
  let sdk: Sdk | undefined;
  let client: Client | undefined;
  let env: Env | undefined;
  let release = (): void => {};
  const started = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('not started yet');
    return value;
  };
  const runs = usePlace(() => started(env));
  const released = (): Promise<void> =>
    new Promise<void>((resolve) => {
      release = resolve;
    });
  const stagesOf: AwsRuns['stagesOf'] = async (SecretId) => {
    const answer = await started(client).send(new (started(sdk).DescribeSecretCommand)({ SecretId }));
    return answer.VersionIdsToStages ?? {};
  };

  /** What a function of the documentation's template does. */
  const rotating = async ({ Step, SecretId, ClientRequestToken: token }: RotationEvent): Promise<void> => {
    const { PutSecretValueCommand, UpdateSecretVersionStageCommand } = started(sdk);
    const stages = await stagesOf(SecretId);
    if (Step === 'createSecret') {
      if (!stages[token]?.includes('AWSPENDING')) throw new Error('the version is not pending');
      await started(client).send(
        new PutSecretValueCommand({
          SecretId,
          ClientRequestToken: token,
          SecretString: randomBytes(8).toString('hex'),
          VersionStages: ['AWSPENDING'],
        }),
      );
    }
    if (Step !== 'finishSecret') return;
    await started(client).send(
      new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage: 'AWSCURRENT',
        MoveToVersionId: token,
        RemoveFromVersionId: Object.keys(stages).find((id) => stages[id]?.includes('AWSCURRENT')),
      }),
    );
  };

  beforeAll(async () => {
    aws = await startAws();
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = aws.admin;
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
    sdk = await import('@aws-sdk/client-secrets-manager');
    const credentials = { accessKeyId, secretAccessKey };
    client = new sdk.SecretsManagerClient({ region: 'eu-west-1', endpoint: aws.url, credentials });
    const { functions } = aws;
    functions.define(ROTATES, rotating);
    functions.define(OTHER, rotating);
    functions.define(FAILS, async (event) => {
      if (event.Step === 'setSecret') throw new Error('the database refuses the new password');
      await rotating(event);
    });
    functions.define(SLOW, async (event) => {
      if (event.Step === 'setSecret') await released();
      await rotating(event);
    });
    functions.define(SILENT, released);
  });
  beforeEach(() => {
    env = started(aws).admin;
    started(aws).functions.calls.length = 0;
  });
  afterEach(() => release());
  afterAll(async () => {
    client?.destroy();
    await aws?.stop();
  });

  return {
    get place() {
      return runs.place;
    },
    policies: runs.policies,
    sh: runs.sh,
    ok: runs.ok,
    json: runs.json,
    status: runs.status,
    get aws() {
      return started(aws);
    },
    get sdk() {
      return started(sdk);
    },
    get client() {
      return started(client);
    },
    get env() {
      return started(env);
    },
    set env(value) {
      env = value;
    },
    release: () => release(),
    stagesOf,
    state: async (SecretId) => {
      const { $metadata: _, ...answer } = await started(client).send(
        new (started(sdk).DescribeSecretCommand)({ SecretId }),
      );
      return answer;
    },
    rowOf: async (reference) => (await runs.status()).find((row) => row.reference === reference),
  };
}
