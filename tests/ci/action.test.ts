/** action.yml, played by a runner as GitHub's: its files, its inputs, and a process with its name. */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parse } from 'yaml';
import { WORK_DIR } from '../backends/server.ts';
import { readGithubEnv } from '../core/environment/readers.ts';
import { ROOT } from '../e2e/program.ts';
import { Box, NODE, PROGRAM } from '../exec/setup.ts';
import { RUNNER } from '../exec/runner.ts';
import { type Need, testNeeding, INSTALL } from '../needs.ts';

interface Action {
  readonly inputs: Readonly<Record<string, { readonly description: string; readonly default: string }>>;
  readonly runs: { readonly steps: readonly Step[] };
}
interface Step {
  readonly run: string;
  readonly env: Readonly<Record<string, string>>;
}

const action = parse(readFileSync(join(ROOT, 'action.yml'), 'utf8')) as Action;
const page = readFileSync(join(ROOT, 'docs/ci.md'), 'utf8');
const WORKFLOWS = [...page.matchAll(/```yaml\n(name: [^]*?)```/g)].map(([, text = '']) => text);
const TOKEN = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJyZXBvIn0.c2lnbmF0dXJl';

let box: Box;
let server: Server;
let audiences: string[];
beforeAll(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    audiences.push(url.searchParams.get('audience') ?? '');
    const known = request.headers.authorization === 'bearer request-token';
    response.writeHead(known ? 200 : 401).end(JSON.stringify({ value: TOKEN }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => server.close());
beforeEach(() => {
  audiences = [];
  box = new Box();
  box.write('Runner.Worker', RUNNER, 0o755);
  for (const folder of ['bin', 'temp']) mkdirSync(join(box.root, folder));
  writeFileSync(join(box.root, 'bin/secrets'), `#!/bin/sh\nexec ${NODE} ${PROGRAM} "$@"\n`, { mode: 0o755 });
  for (const file of ['env', 'output', 'path']) writeFileSync(join(box.root, file), '');
  box.put('app/db', '{"url":"postgres-url-value","password":"hunter2000"}');
});
afterEach(() => box.remove());

interface Played {
  readonly code: number | null;
  readonly log: string;
  /** What a later step gets. */
  readonly exported: Readonly<Record<string, string>>;
}

/** Runs the steps of the action as the runner does: inputs become variables, `run` a script of bash. */
async function play(
  inputs: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
  runner = 'Runner.Worker',
): Promise<Played> {
  for (const name of Object.keys(inputs)) expect(Object.keys(action.inputs)).toContain(name);
  const value = (text: string): string =>
    text.replace(
      /^\$\{\{ inputs\.([\w-]+) \}\}$/,
      (_, name: string) => inputs[name] ?? action.inputs[name]?.default ?? '',
    );
  let log = '';
  let code: number | null = 0;
  for (const step of action.runs.steps) {
    const own = Object.fromEntries(Object.entries(step.env).map(([name, text]) => [name, value(text)]));
    const script = box.write('step.sh', step.run);
    const address = server.address() as AddressInfo;
    const child = spawn(join(box.cwd, runner), ['bash', '--noprofile', '--norc', '-eo', 'pipefail', script], {
      cwd: box.cwd,
      env: {
        ...box.env,
        PATH: `${join(box.root, 'bin')}:${NODE.replace(/\/[^/]*$/, '')}:${box.env['PATH']}`,
        CI: 'true',
        GITHUB_ACTIONS: 'true',
        GITHUB_ACTION_PATH: ROOT,
        GITHUB_ENV: join(box.root, 'env'),
        GITHUB_OUTPUT: join(box.root, 'output'),
        GITHUB_PATH: join(box.root, 'path'),
        RUNNER_TEMP: join(box.root, 'temp'),
        ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${address.port}/token?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
        ...own,
        ...env,
      },
    });
    child.stdout.on('data', (chunk: Buffer) => (log += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    code = await new Promise((resolve) => child.once('close', resolve));
  }
  const exported = Object.fromEntries(readGithubEnv(readFileSync(join(box.root, 'env'), 'utf8')));
  // Nothing of the step is left.
  expect(readdirSync(join(box.root, 'temp'))).toEqual([]);
  return { code, log, exported };
}

/** What the log shows: without the commands, and with what is masked from each on. */
function shown(log: string): string {
  const masks: string[] = [];
  const lines: string[] = [];
  for (const line of log.split('\n')) {
    const mask = /^::add-mask::(.*)$/.exec(line)?.[1];
    if (mask === undefined) lines.push(masks.reduce((text, one) => text.replaceAll(one, '***'), line));
    else masks.push(mask);
  }
  return lines.join('\n');
}

test('no input is part of a script', () => {
  for (const { run } of action.runs.steps) expect(run).not.toContain('${{');
  for (const [name, { description }] of Object.entries(action.inputs))
    expect([name, description]).toEqual([name, expect.any(String)]);
});

test('the first example of the page: the script gets the variables of a trusted secrets.yaml, and they are masked', async () => {
  const { jobs } = parse(WORKFLOWS[0] as string) as {
    readonly jobs: {
      readonly deploy: { readonly steps: readonly { uses?: string; with?: Record<string, string> }[] };
    };
  };
  const { with: inputs = {} } = jobs.deploy.steps.find(({ uses }) => uses?.includes('secrets-action')) ?? {};
  box.write('secrets.yaml', 'env:\n  ODD_NAME: local://app/db#url\n');
  box.write('deploy.sh', '#!/bin/sh\necho "deploys with $ODD_NAME"; test -z "$INPUT_RUN"\n', 0o755);
  const { stdout } = await box.run(['trust', '--dry-run', '--json']);
  const trusted = (JSON.parse(stdout) as { readonly sha256: string }).sha256;
  const fill = (hash: string): Record<string, string> =>
    Object.fromEntries(
      Object.entries(inputs).map(([name, text]) => [name, text.replace('${{ vars.SECRETS_TRUSTED }}', hash)]),
    );
  const { code, log, exported } = await play(fill(trusted));
  expect({ code, exported }).toEqual({ code: 0, exported: {} });
  expect(shown(log)).toContain('deploys with ***');
  expect(log).toContain('::add-mask::postgres-url-value');
  // The hash of another file.
  expect(await play(fill('0'.repeat(64)))).toMatchObject({
    code: 125,
    log: expect.stringContaining('not trusted') as string,
  });
});

test.each([
  ['a runner that is seen', 'Runner.Worker'],
  ['one that is not, as in a container and on macOS', 'unseen'],
])(
  'export: the later steps get the variables, all or none, after they are masked, on %s',
  async (_, runner) => {
    box.write('unseen', RUNNER, 0o755);
    const env = '\n  # the database\n  URL_TOKEN=local://app/db#url  \n  PASSWORD=app/db#password\n';
    const { code, log, exported } = await play({ env, export: 'true' }, {}, runner);
    expect({ code, exported }).toEqual({
      code: 0,
      exported: { URL_TOKEN: 'postgres-url-value', PASSWORD: 'hunter2000' },
    });
    expect(log).toContain('::add-mask::hunter2000');
    expect(shown(log)).not.toContain('hunter2000');
    writeFileSync(join(box.root, 'env'), '');
    expect(await play({ env: `${env}GONE=nope`, export: 'true' })).toMatchObject({ code: 3, exported: {} });
  },
);

test('a template becomes a file', async () => {
  box.write('t.json', '{"password": {{ app/db#password }}}');
  const { code } = await play({ template: 't.json', output: 'out.json' });
  expect(code).toBe(0);
  expect(JSON.parse(readFileSync(join(box.cwd, 'out.json'), 'utf8'))).toEqual({ password: 'hunter2000' });
});

test.each([
  [{ run: 'true', template: 't', output: 'o' }, 'steps of their own'],
  [{ run: 'true', export: 'true' }, 'steps of their own'],
  [{ env: 'A=app/db#url', run: '' }, 'nothing to do'],
  [{ env: 'A=app/db#url', template: '', output: 'o' }, 'nothing to do'],
  [{ export: 'yes' }, 'true or false'],
  [{ template: 't' }, 'needs output'],
  [{ run: 'true', output: 'o' }, 'needs template'],
  [{ template: 't', output: 'o', env: 'A=app/db#url' }, 'names its secrets itself'],
  [{ program: 'no-such-program' }, 'not installed'],
])('%j is refused', async (inputs, why) => {
  expect(await play(inputs as Record<string, string>)).toMatchObject({
    code: 2,
    log: expect.stringContaining(why) as string,
  });
});

test('an input that looks like a command is none', async () => {
  const hostile = '$(touch ran)`touch ran`";touch ran;"\'';
  await play({ profile: hostile, trusted: hostile, template: hostile, output: hostile, export: hostile });
  await play({ profile: hostile, trusted: hostile, template: hostile, output: hostile });
  await play({ env: hostile, 'gcp-provider': hostile, 'aws-role': hostile, export: 'true' });
  expect(existsSync(join(box.cwd, 'ran'))).toBe(false);
});

describe('the sign-in of each cloud', () => {
  /** In place of `secrets`: what it would find. */
  const FOUND = `#!/bin/sh
cat "$AWS_WEB_IDENTITY_TOKEN_FILE" "$AZURE_FEDERATED_TOKEN_FILE" "$GOOGLE_APPLICATION_CREDENTIALS" 2>/dev/null
stat -c ' %a' "$AWS_WEB_IDENTITY_TOKEN_FILE$AZURE_FEDERATED_TOKEN_FILE$GOOGLE_APPLICATION_CREDENTIALS" 2>/dev/null
echo "$AWS_ROLE_ARN $AWS_REGION $AZURE_CLIENT_ID $AZURE_TENANT_ID $VAULT_JWT" >&2
`;
  beforeEach(() => writeFileSync(join(box.root, 'bin/found'), FOUND, { mode: 0o755 }));
  const signIn = (inputs: Readonly<Record<string, string>>): Promise<Played> =>
    play({ program: 'found', run: 'true', ...inputs });

  test.each([
    [{ 'aws-role': 'arn:role', 'aws-region': 'eu-west-1' }, 'sts.amazonaws.com', 'arn:role eu-west-1'],
    [
      { 'azure-client-id': 'client', 'azure-tenant-id': 'tenant' },
      'api://AzureADTokenExchange',
      'client tenant',
    ],
    [
      { 'gcp-provider': 'projects/1/p', 'gcp-service-account': 'a@b' },
      'https://iam.googleapis.com/projects/1/p',
      'serviceAccounts/a%40b:generateAccessToken',
    ],
    [{ 'vault-audience': 'https://vault.example.com' }, 'https://vault.example.com', '***'],
  ])('%j', async (inputs, audience, seen) => {
    const { code, log, exported } = await signIn(inputs as Record<string, string>);
    expect({ code, exported, audiences }).toEqual({ code: 0, exported: {}, audiences: [audience] });
    expect(shown(log)).toContain(seen);
    if (!('vault-audience' in inputs)) expect(log).toContain(' 600');
    expect(shown(log)).not.toContain(TOKEN);
  });

  test('credentials that the job has already are not used in its place, and the script can ask for no token', async () => {
    writeFileSync(join(box.root, 'bin/found'), '#!/bin/sh\nenv\n', { mode: 0o755 });
    const names = {
      'aws-role': ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'],
      'azure-client-id': ['AZURE_CLIENT_SECRET', 'AZURE_CLIENT_CERTIFICATE_PATH', 'AZURE_ACCESS_TOKEN'],
      'gcp-provider': ['GOOGLE_CREDENTIALS', 'GOOGLE_OAUTH_ACCESS_TOKEN'],
      'vault-audience': ['VAULT_TOKEN', 'VAULT_SECRET_ID'],
    };
    for (const [input, left] of Object.entries(names)) {
      const { code, log } = await play(
        { program: 'found', run: 'true', [input]: 'x' },
        Object.fromEntries(left.map((name) => [name, 'left-behind'])),
      );
      expect([input, code]).toEqual([input, 0]);
      expect(log).not.toMatch(/left-behind|request-token|ACTIONS_ID_TOKEN/);
    }
    const kept = await play({ program: 'found', run: 'true' }, { AWS_ACCESS_KEY_ID: 'left-behind' });
    expect(kept.log).toContain('AWS_ACCESS_KEY_ID=left-behind');
  });

  test('without the right to a token, and with a wrong one, it fails before anything else', async () => {
    const role = { 'aws-role': 'arn:role', run: 'true' };
    expect(await play(role, { ACTIONS_ID_TOKEN_REQUEST_URL: '' })).toMatchObject({
      code: 4,
      log: expect.stringContaining('id-token: write') as string,
    });
    expect(await play(role, { ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'x' })).toMatchObject({
      code: 4,
      log: expect.stringContaining('answered 401') as string,
    });
  });
});

const [lint = 'actionlint'] = existsSync(WORK_DIR)
  ? readdirSync(WORK_DIR).filter((name) => name.startsWith('actionlint-'))
  : [];
const ACTIONLINT: Need = {
  name: 'actionlint',
  met: existsSync(join(WORK_DIR, lint)),
  how: INSTALL,
  installable: true,
};

testNeeding(ACTIONLINT)('actionlint takes the workflows of the page, and the inputs are the action’s', () => {
  expect(WORKFLOWS).toHaveLength(2);
  mkdirSync(join(box.cwd, '.github/workflows'), { recursive: true });
  mkdirSync(join(box.cwd, '.git'));
  cpSync(join(ROOT, 'action.yml'), join(box.cwd, 'tools/secrets-action/action.yml'));
  for (const [index, text] of WORKFLOWS.entries()) box.write(`.github/workflows/${index}.yml`, text);
  const run = (): string => spawnSync(join(WORK_DIR, lint), [], { cwd: box.cwd, encoding: 'utf8' }).stdout;
  expect(run()).toBe('');
  box.write('.github/workflows/0.yml', (WORKFLOWS[0] as string).replace('trusted:', 'trustedd:'));
  expect(run()).toContain('trustedd');
});
