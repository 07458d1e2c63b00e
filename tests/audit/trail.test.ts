/** `audit trail` through the built program: which accesses of a service's trail came through secrets. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { open as openGcp } from '../../src/providers/gcp/index.ts';
import { ACCOUNT, startConjur, type Conjur } from '../backends/conjur.ts';
import { type Aws, scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { startTrail, type Trail } from '../backends/aws/trail.ts';
import { type Azure, scenarioFiles as azureFiles, startAzure } from '../backends/azure.ts';
import { findKqlFault } from '../backends/azure/kql.ts';
import { type Account, ADMIN, type Gcp, startGcp } from '../backends/gcp.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault, type Vault } from '../backends/vault.ts';
import { contextFor, readOne } from '../contract/kit.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
addFormats.default(ajv);
const isValid = ajv.compile(
  JSON.parse(readFileSync(join(ROOT, 'schemas/output/audit-trail.schema.json'), 'utf8')) as object,
);

type Env = Readonly<Record<string, string>>;
type Item = Readonly<Record<string, unknown>> & {
  readonly action: string;
  readonly outcome: string;
  readonly secret?: string;
  readonly through: 'yes' | 'client' | 'no';
  readonly by?: string;
  readonly inTrail: boolean | null;
  readonly client?: string;
  readonly requestId?: string;
  readonly own?: { readonly command: string; readonly reason?: string };
};
interface Answer {
  readonly trail: boolean;
  readonly counts: Readonly<Record<string, number>>;
  readonly accesses: readonly Item[];
}

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

async function ok(line: string, env: Env): Promise<Outcome> {
  const outcome = await place.sh(line, env);
  expect({ line, code: outcome.code, stderr: outcome.stderr }).toMatchObject({ line, code: 0 });
  return outcome;
}

async function ask(what: string, env: Env): Promise<Answer> {
  const { stdout } = await ok(`secrets audit trail ${what} --since 1h --quiet --json`, env);
  const answer = JSON.parse(stdout) as Answer;
  isValid(answer);
  expect(isValid.errors).toBeNull();
  return answer;
}

/** Settings of the user's own, which need no trust. */
function configure(stores: string): void {
  const folder = join(place.home, '.config/secrets');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, 'secrets.yaml'), `stores:\n${stores}`, { mode: 0o600 });
}

const reads = ({ accesses }: Answer): readonly Item[] =>
  accesses.filter(({ action, outcome }) => action === 'read' && outcome === 'allowed');
const outside = ({ accesses }: Answer): readonly Item[] =>
  accesses.filter(({ through }) => through !== 'yes');

describeWith('vault', vaultFiles, () => {
  let vault: Vault;
  let env: Env;
  let file: string;

  beforeAll(async () => {
    vault = await startVault();
  });
  afterAll(() => vault.stop());
  beforeEach(async () => {
    file = join(place.root, 'audit.log');
    env = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token };
    await vault.api('PUT', 'sys/audit/file', { type: 'file', options: { file_path: file } });
  });
  afterEach(() => vault.api('DELETE', 'sys/audit/file'));

  const direct = async (path: string): Promise<string> => {
    const body = await vault.api('GET', path);
    return String(body['request_id']);
  };

  test('a read past secrets is marked, and it alone, whatever secrets does at the same time', async () => {
    await ok('printf one | secrets put vault://app/db --reason "ticket 42"', env);
    await ok('secrets get vault://app/db', env);
    const id = await direct('secret/data/app/db');
    await ok('secrets get vault://app/db', env);
    await ok('printf two | secrets put vault://app/db --label team=web', env);
    await ok('secrets get "vault://app/db?version=1" "vault://app/db?stage=previous" --json', env);
    await ok('secrets list vault://app/ --long && secrets history vault://app/db', env);
    await ok('secrets restore vault://app/db --version 1', env);
    await ok('secrets rotate vault://app/db --generate hex:8', env);
    await ok('secrets get vault://app/db --metadata', env);
    await ok('secrets copy vault://app/db vault://app/copied', env);
    await ok('secrets delete vault://app/db', env);
    await place.sh('secrets get vault://app/db', env);
    await ok('secrets restore vault://app/db && secrets purge vault://app/db --yes', env);
    const answer = await ask(`vault://app/db --from ${file}`, env);
    expect(outside(answer)).toEqual([
      expect.objectContaining({ action: 'read', requestId: id, through: 'no' }),
    ]);
    expect(answer.counts).toMatchObject({ outside: 1, client: 0, notInTrail: 0 });
    // The first two by the id of the request, exactly.
    expect(reads(answer).slice(0, 2)).toMatchObject([{ by: 'request-id' }, { requestId: id }]);
    expect(answer.accesses[0]).toMatchObject({ own: { command: 'put', reason: 'ticket 42' } });
    const whole = await ask(`vault --from - < ${file}`, env);
    expect(outside(whole)).toHaveLength(1);
    expect(new Set(whole.accesses.map(({ secret }) => secret))).toContain('app/copied');
  });

  test('shows a table, CSV, only what is outside, and fails where that is asked', async () => {
    configure(`  team: { provider: vault, trail: { file: ${file}, device: file } }\n`);
    await ok('printf one | secrets put team://app/e && secrets get team://app/e', env);
    await direct('secret/data/app/e');
    const { stdout } = await ok('secrets audit trail team://app/e', env);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t'));
    expect(lines.at(-1)).toEqual([
      expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z$/),
      'read',
      'allowed',
      '1',
      'root',
      expect.stringMatching(/^127\.0\.0\.1 node/),
      'NO',
    ]);
    expect(lines.map((line) => line.at(-1))).toEqual(expect.arrayContaining(['yes: put', 'yes: get']));
    const only = await ok('secrets audit trail team --action read --outside --csv', env);
    expect(only.stdout.split('\r\n')).toEqual([
      expect.stringMatching(/^time,action,outcome,/),
      expect.stringMatching(/,read,allowed,,team,app\/e,1,root,127\.0\.0\.1,node[^,]*,no,,true,/),
      '',
    ]);
    const gate = await place.sh('secrets audit trail team://app/e --fail-on-outside', env);
    expect(gate).toMatchObject({
      code: 8,
      stderr: expect.stringMatching(/^secrets: team:\/\/app\/e: 1 accesses did not come through secrets/),
    });
    expect(
      (await place.sh('secrets audit trail team://app/e --action list --fail-on-outside', env)).code,
    ).toBe(0);
  });

  test('what KV version 1 reads beside is said to be ours by its client alone', async () => {
    configure(`  old: { provider: vault, mount: kv1, trail: { file: ${file} } }\n`);
    await ok('printf one | secrets put old://x && secrets get old://x && secrets purge --yes old://x', env);
    expect(outside(await ask('old://x', env))).toEqual([
      expect.objectContaining({ action: 'read', through: 'client' }),
    ]);
  });

  test('the log of another machine accounts for what is in it', async () => {
    await ok('printf one | secrets put vault://app/f && secrets get vault://app/f', env);
    const log = '.local/state/secrets/audit';
    await ok(`mv "$HOME/${log}" "$HOME/other"; secrets get vault://app/f`, env);
    expect(outside(await ask(`vault://app/f --from ${file}`, env)).length).toBeGreaterThan(1);
    expect(outside(await ask(`vault://app/f --from ${file} --log "$HOME/other/audit.jsonl"`, env))).toEqual(
      [],
    );
  });
});

/** Further from the last access than two lines about one access may be: these trails tell whole seconds. */
const apart = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2100));

describe('conjur', () => {
  let conjur: Conjur;
  beforeAll(async () => {
    conjur = await startConjur();
  });
  afterAll(() => conjur.stop());

  test('a read past secrets is marked, and it alone', async () => {
    const env = conjur.env();
    await ok('printf one | secrets put conjur://app/db && secrets get conjur://app/db', env);
    await apart();
    await conjur.api('GET', `/secrets/${ACCOUNT}/variable/app%2Fdb`);
    await apart();
    await ok('printf two | secrets put conjur://app/db && secrets history conjur://app/db', env);
    await ok('secrets get "conjur://app/db?version=1"; secrets restore conjur://app/db --version 1', env);
    const file = join(place.root, 'conjur.log');
    writeFileSync(file, await conjur.control('/audit'));
    const answer = await ask(`conjur://app/db --from ${file}`, env);
    expect(outside(answer)).toEqual([expect.objectContaining({ action: 'read', through: 'no' })]);
    expect(reads(answer)[0]).toMatchObject({ by: 'time', own: { command: 'get' } });
    expect(answer.counts).toMatchObject({ notInTrail: 0 });
  });
});

describeWith('aws', awsFiles, () => {
  let aws: Aws;
  let trail: Trail;
  beforeAll(async () => {
    aws = await startAws();
    trail = await startTrail(aws);
  });
  afterAll(async () => {
    await trail.stop();
    await aws.stop();
  });

  test('a read past secrets is marked, and it alone', async () => {
    const env = { ...aws.admin, AWS_ENDPOINT_URL: trail.url };
    await ok('printf one | secrets put aws://app/db && secrets get aws://app/db', env);
    const client = new SecretsManagerClient({
      endpoint: trail.url,
      region: 'eu-west-1',
      credentials: {
        accessKeyId: aws.admin['AWS_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: aws.admin['AWS_SECRET_ACCESS_KEY'] ?? '',
      },
    });
    const { $metadata } = await client.send(new GetSecretValueCommand({ SecretId: 'app/db' }));
    client.destroy();
    await ok('secrets get aws://app/db && secrets history aws://app/db && secrets list aws://app/', env);
    const answer = await ask('aws://app/db', env);
    expect(outside(answer)).toEqual([
      expect.objectContaining({ action: 'read', through: 'no', requestId: $metadata.requestId }),
    ]);
    expect(reads(answer).filter(({ by }) => by === 'request-id')).toHaveLength(2);
    expect(answer.counts).toMatchObject({ notInTrail: 0 });
  });
});

describe('gcp', () => {
  let gcp: Gcp;
  let account: Account;
  beforeAll(async () => {
    gcp = await startGcp();
    account = await gcp.account('auditor', [
      ...ADMIN,
      'roles/logging.privateLogViewer',
      'roles/iam.securityReviewer',
    ]);
    const types = [{ logType: 'DATA_READ' }, { logType: 'ADMIN_READ' }];
    const auditConfigs = [{ service: 'secretmanager.googleapis.com', auditLogConfigs: types }];
    await gcp.door('audit', { auditConfigs, inherited: [], throttle: 0, page: 1000, emptyPages: 0 });
  });
  afterAll(() => gcp.stop());

  test('a read past secrets is told from one by a client that says it is secrets', async () => {
    const env = { ...gcp.env(account), CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING: gcp.url };
    await ok('printf one | secrets put gcp://app-db && secrets get gcp://app-db', env);
    // No log has this one, though its client is ours: as on another machine.
    const elsewhere = openGcp(
      { endpoint: gcp.url, ca: gcp.caFile, credentials: account.file },
      contextFor({}, '/nonexistent'),
    );
    await apart();
    await readOne(elsewhere, { name: 'app-db' });
    await elsewhere.close();
    const answer = await ask('gcp://app-db', env);
    expect(reads(answer).map(({ through }) => through)).toEqual(['yes', 'client']);
    expect(outside(answer)).toHaveLength(1);
    const gate = await place.sh('secrets audit trail gcp --since 1h --fail-on-outside --quiet', env);
    expect(gate.code).toBe(8);
  });
});

describeWith('azure', azureFiles, () => {
  let azure: Azure;
  beforeAll(async () => {
    azure = await startAzure();
    // Loading what checks queries keeps this process busy for seconds, in which the double would not answer.
    findKqlFault('AZKVAuditLogs', new Map());
  });
  afterAll(() => azure.stop());

  test('a read past secrets is marked, and it alone', async () => {
    const { workspace } = azure;
    configure(`  azure: { provider: azure, trail: { workspace: ${workspace.id} } }\n`);
    const env = azure.env('officer');
    await ok('printf one | secrets put azure://app-db && secrets get azure://app-db', env);
    workspace.add({
      RequestUri: 'https://tests.vault.azure.net:8443/secrets/app-db?api-version=7.6',
      ClientInfo: 'python-requests/2',
    });
    await ok('secrets get azure://app-db && secrets history azure://app-db', env);
    const answer = await ask('azure://app-db', env);
    expect(outside(answer)).toEqual([
      expect.objectContaining({ action: 'read', through: 'no', client: 'python-requests/2' }),
    ]);
    expect(reads(answer).filter(({ by }) => by === 'request-id')).toHaveLength(2);
    expect(answer.counts).toMatchObject({ notInTrail: 0 });
  });
});

describe('without a trail', () => {
  test('shows our own log alone, and says so', async () => {
    await ok('printf one | secrets put app/db && secrets get app/db', {});
    const { stdout, stderr } = await ok('secrets audit trail app/db', {});
    expect(stderr).toBe('secrets: warning: local has no trail to read; showing only our own log\n');
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t').at(-1)),
    ).toEqual(['yes: put', 'yes: get']);
    const answer = await ask('local', {});
    expect(answer).toMatchObject({ trail: false, counts: { accesses: 2, through: 2, notInTrail: 0 } });
    expect(answer.accesses.map(({ inTrail }) => inTrail)).toEqual([null, null]);
  });

  test.each([
    ['app/db#key', 2, /a trail is of a whole secret/],
    ['nowhere://a', 2, /no store named nowhere/],
    ['nowhere://', 2, /no store named nowhere/],
    ['app/db --since yesterday', 2, /--since "yesterday" is not a valid time/],
    ['app/db --since 1h --until 2h', 2, /ends before it begins/],
    ['app/db --json --csv', 2, /exclude each other/],
    ['app/db --from -', 2, /local has no trail to read/],
    ['vault://a --from no/such/file', 3, /file not found/],
  ])('%s: exit %i', async (line, code, message) => {
    const env = { VAULT_ADDR: 'http://127.0.0.1:9', VAULT_TOKEN: 'x' };
    const outcome = await place.within(`secrets audit trail ${line} --quiet --timeout 2s`, env);
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) as string });
  });

  test('a pipe that nothing comes from ends with --timeout', async () => {
    configure('  offline: { provider: vault, address: "http://127.0.0.1:9", kv-version: 2 }\n');
    // Open for writing as well, so that it never ends.
    const line = 'mkfifo p; secrets audit trail offline://a --from - --quiet --timeout 1s <> p';
    const outcome = await place.sh(line);
    expect(outcome).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/the trail on stdin did not end in time/),
    });
  });
});
