/** The built program on Google: what it loads, what it trusts, what it passes on, how it exits. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Account, ADMIN, type Gcp, startGcp } from '../../backends/gcp.ts';
import { makePlace, type Outcome, type Place, PROGRAM } from '../../e2e/program.ts';

/** What grpc-js calls itself to servers: in the bundle wherever the library is. */
const GRPC_MARK = 'grpc-node-js/';

let gcp: Gcp;
let admin: Account;
let place: Place;
const sh = (script: string, more: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  place.sh(script, { ...gcp.env(admin), ...more });

beforeAll(async () => {
  gcp = await startGcp();
  admin = await gcp.account('admin', ADMIN);
  place = await makePlace();
  expect(await sh('printf %s \'{"user":"u","n":1}\' | secrets put gcp://config')).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await place.remove();
  await gcp.stop();
});

describe('the bundle', () => {
  /** Files of the bundle that a command read. */
  const filesRead = async (script: string, more = {}): Promise<string[]> => {
    const log = join(place.root, `read-${Math.random()}`);
    const preload = join(place.root, 'record.cjs');
    writeFileSync(
      preload,
      `const fs = require('node:fs'), read = fs.readFileSync, seen = [];
       fs.readFileSync = (file, ...more) => { seen.push(String(file)); return read(file, ...more); };
       process.on('exit', () => fs.writeFileSync(${JSON.stringify(log)}, seen.join('\\n')));`,
    );
    const outcome = await sh(script, { NODE_OPTIONS: `--require ${preload}`, ...more });
    expect(outcome).toMatchObject({ code: 0, stdout: 'u' });
    return readFileSync(log, 'utf8')
      .split('\n')
      .filter(
        (file) =>
          file.startsWith(join(dirname(PROGRAM), '../dist')) && file.endsWith('.js') && existsSync(file),
      );
  };
  const holdGrpc = (files: readonly string[]): string[] =>
    files.filter((file) => readFileSync(file, 'latin1').includes(GRPC_MARK)).map((file) => basename(file));

  test('reads over REST without a byte of gRPC, and without other clouds', async () => {
    const files = await filesRead('secrets get gcp://config#user');
    expect(files.length).toBeGreaterThan(3);
    expect(holdGrpc(files)).toEqual([]);
    const texts = files.map((file) => readFileSync(file, 'latin1')).join('');
    expect(texts).not.toMatch(/@aws-sdk|X-Vault-Request|google\.cloud\.secretmanager\.v1beta2/);
    expect(texts).toContain('google.cloud.secretmanager.v1');
  });

  test('reads over gRPC where the store asks for it', async () => {
    await writeFile(
      join(place.root, 'grpc.yaml'),
      `stores:\n  g: { provider: gcp, transport: grpc, endpoint: "${gcp.grpcUrl}", ca: "${gcp.caFile}" }\n`,
    );
    const files = await filesRead('secrets get g://config#user --trust', {
      SECRETS_CONFIG: join(place.root, 'grpc.yaml'),
    });
    expect(holdGrpc(files).length).toBeGreaterThan(0);
    const outcome = await sh(
      'secrets list g:// --trust; printf w | secrets put g://over-grpc --trust && secrets history g://over-grpc --json --trust | jq -r .versions[0].version',
      {
        SECRETS_CONFIG: join(place.root, 'grpc.yaml'),
      },
    );
    expect(outcome).toEqual({ code: 0, stderr: '', stdout: 'config\n1\n' });
  });
});

test('takes a native identifier, with its version and key', async () => {
  const name = `projects/${gcp.project}/secrets/config`;
  expect((await sh(`secrets get '${name}#user'`)).stdout).toBe('u');
  expect((await sh(`secrets get '${name}/versions/1#n'`)).stdout).toBe('1');
  expect((await sh(`secrets get '${name}/versions/latest#n'`)).stdout).toBe('1');
  expect(await sh(`secrets get '${name}/versions/9'`)).toMatchObject({ code: 3 });
});

test.each([
  ['an unknown name', 3, 'secrets get gcp://nothing', /gcp:\/\/nothing: not found/],
  ['an illegal name', 2, 'secrets get gcp://a/b', /gcp allows names of letters, digits/],
  ['no rights', 4, 'secrets get gcp://config', /nobody@.*is not allowed .*secretAccessor/],
  [
    'no key file',
    4,
    'GOOGLE_APPLICATION_CREDENTIALS=/none secrets get gcp://config',
    /cannot read the credentials/,
  ],
  [
    'somebody else’s write',
    5,
    'printf x | secrets put gcp://config --if-version 7',
    /changed by somebody else/,
  ],
  [
    'nobody there',
    6,
    'CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER=https://127.0.0.1:9 secrets get gcp://config',
    /cannot reach/,
  ],
  ['a damaged value', 9, 'secrets get gcp://damaged', /checksum does not match/],
])('%s ends with exit code %i', async (title, code, script, expected) => {
  let env = {};
  if (code === 9) {
    await sh('printf x | secrets put gcp://damaged');
    await gcp.door('corrupt', { name: `projects/${gcp.project}/secrets/damaged/versions/1` });
  }
  if (title === 'no rights') env = { GOOGLE_APPLICATION_CREDENTIALS: (await gcp.account('nobody', [])).file };
  const outcome = await sh(script, env);
  expect(outcome.stdout).toBe('');
  expect(outcome.stderr.trimEnd().split('\n')).toEqual([expect.stringMatching(expected)]);
  expect(outcome.code).toBe(code);
});

test('many secrets at once bring no warnings of Node’s', async () => {
  const names = Array.from({ length: 30 }, (_, index) => `gcp://missing-${index}`);
  const outcome = await sh(`secrets get ${names.join(' ')}`);
  expect(outcome.code).toBe(3);
  expect(outcome.stderr).toContain('gcp://missing-29');
  expect(outcome.stderr).not.toMatch(/Warning|node:/);
});

test('doctor names the account, where its key came from, and the endpoint', async () => {
  const { stdout, code } = await sh('secrets doctor gcp');
  expect(stdout).toContain(`${admin.email} from ${admin.file}, project ${gcp.project}`);
  expect(stdout).toContain(`secrets can be listed at ${gcp.url}`);
  expect(code).toBe(0);
});

test('exec passes the secret on, and no Google credential', async () => {
  const variables = [
    'GOOGLE_APPLICATION_CREDENTIALS',
    'GOOGLE_CREDENTIALS',
    'GOOGLE_OAUTH_ACCESS_TOKEN',
    'CLOUDSDK_AUTH_ACCESS_TOKEN_FILE',
    'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE',
  ];
  // Files that are named and not used, and one that is.
  const set = Object.fromEntries(variables.map((name) => [name, '']));
  const outcome = await sh('secrets exec --no-redact -e U=gcp://config#user -- env', {
    ...set,
    CLOUDSDK_AUTH_ACCESS_TOKEN:
      (await gcp.door('token', { principal: `serviceAccount:${admin.email}` }))['token'] ?? '',
    GOOGLE_CLOUD_PROJECT: gcp.project,
  });
  expect(outcome.code).toBe(0);
  expect(outcome.stdout).toMatch(/^U=u$/m);
  expect(outcome.stdout).toMatch(/^GOOGLE_CLOUD_PROJECT=/m);
  expect(outcome.stdout).not.toMatch(/ya29|^(GOOGLE_(APPLICATION_)?CREDENTIALS|GOOGLE_OAUTH|CLOUDSDK_AUTH)/m);
});

test('shows nothing of requests and answers, whatever logging Google’s libraries are asked for', async () => {
  const logging = { GOOGLE_SDK_NODE_LOGGING: '*', NODE_DEBUG: 'secret-manager,auth,gaxios' };
  const outcome = await sh(
    'printf hushhush | secrets put gcp://logged --debug; secrets get gcp://logged',
    logging,
  );
  expect(outcome.stdout).toBe('hushhush');
  expect(outcome.stderr).not.toMatch(/hush|Bearer|eyJ|private/i);
});

describe('a credentials file that a found secrets.yaml names', () => {
  const mark = (): string => join(place.cwd, 'ran');
  beforeAll(async () => {
    const program = join(place.cwd, 'token.sh');
    await writeFile(program, `#!/bin/sh\ntouch ${mark()}\nexit 1\n`);
    await chmod(program, 0o755);
    const content = {
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${gcp.url}/v1/token`,
      credential_source: { executable: { command: program, timeout_millis: 5000 } },
    };
    await writeFile(join(place.cwd, 'theirs.json'), JSON.stringify(content));
    await writeFile(
      join(place.cwd, 'secrets.yaml'),
      'stores:\n  theirs: { provider: gcp, project: p, credentials: theirs.json }\n',
    );
  });
  afterAll(() => place.sh('rm secrets.yaml'));
  const allowed = { GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES: '1' };

  test('is not acted on before the file is trusted: nothing runs', async () => {
    const outcome = await sh('secrets get theirs://x', allowed);
    expect(outcome.code).toBe(8);
    expect(outcome.stderr).toMatch(/line 2: stores\.theirs\.credentials: .*it can name a program to run/);
    expect(existsSync(mark())).toBe(false);
  });

  test('is acted on after, and only if the user’s environment allows programs', async () => {
    expect(await sh('secrets get theirs://x --trust')).toMatchObject({ code: 4 });
    expect(existsSync(mark())).toBe(false);
    expect(await sh('secrets get theirs://x --trust', allowed)).toMatchObject({ code: 4 });
    expect(existsSync(mark())).toBe(true);
  });

  test.each([
    ['endpoint', 'https://evil.example'],
    ['universe-domain', 'evil.example'],
    ['ca', 'evil.pem'],
    ['impersonate', 'evil@p.iam.gserviceaccount.com'],
  ])('%s needs trust as well', async (setting, value) => {
    const file = join(place.root, `${setting}.yaml`);
    await writeFile(file, `stores:\n  theirs: { provider: gcp, project: p, ${setting}: "${value}" }\n`);
    const outcome = await sh('secrets get theirs://x', { SECRETS_CONFIG: file });
    expect(outcome.code).toBe(8);
    expect(outcome.stderr).toContain(`line 2: stores.theirs.${setting}: `);
  });
});
