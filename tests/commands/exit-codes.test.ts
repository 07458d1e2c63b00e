import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT_CODES } from '../../src/core/errors.ts';
import { makePlace, type Place, ROOT } from '../e2e/program.ts';
import { heardIn } from '../heard.ts';

/** Every documented code, provoked through the built program on the local store. */
const TABLE: readonly (readonly [code: number, what: string, script: string])[] = [
  [0, 'done', 'secrets get a'],
  [1, 'failed: doctor found something', 'chmod 755 ~/.local/share/secrets/store; secrets doctor'],
  [1, 'failed: stdout can’t be written', 'secrets get a > /dev/full'],
  [2, 'bad usage', 'secrets get'],
  [2, 'an invalid request', 'secrets get a#key'],
  [3, 'not found', 'secrets get nope'],
  [3, 'a key is not found', 'secrets get j#nope'],
  [4, 'not authenticated', 'SECRETS_LOCAL_PATH=$PWD/other secrets get a'],
  [4, 'not allowed', 'chmod 755 ~/.local/share/secrets/store; secrets get a'],
  [5, 'conflict', 'printf x | secrets put a --if-version 99'],
  [5, 'conflict', 'printf x | secrets put a --if-absent'],
  [7, 'part of it failed', 'secrets delete a nope'],
  [
    9,
    'integrity failure',
    'find ~/.local/share/secrets/store -name "*.sealed" -exec sh -c \'printf x | dd of="$1" bs=1 seek=60 conv=notrunc 2>/dev/null\' sh {} \\;; secrets get a',
  ],
  [125, 'exec failed before the start', 'secrets exec -e X=nope -- true'],
  [125, 'exec with no variable', 'secrets exec -- true'],
  [125, 'exec: bad usage', 'secrets exec --no-such-option -- true'],
  [126, 'exec: not executable', 'touch f; secrets exec -- ./f'],
  [127, 'exec: not found', 'secrets exec -- no-such-program'],
  [42, 'exec: the program’s own', 'secrets exec --allow-empty -- sh -c "exit 42"'],
  [143, 'exec: ended by a signal', "secrets exec --allow-empty -- sh -c 'kill -TERM $$'"],
];

/** Those of a child, which speaks for itself. */
const SILENT: ReadonlySet<number> = new Set([42, 143]);

describe('exit codes', () => {
  let place: Place;
  /** What each test has a copy of. */
  let template: Place;
  beforeAll(async () => {
    template = await makePlace();
    const { code } = await template.sh('printf v | secrets put --quiet a && printf v | secrets put j#key');
    expect(code).toBe(0);
    // A store whose key is a passphrase that is not given later.
    const made = await template.sh(
      'printf v | SECRETS_PASSPHRASE=right SECRETS_LOCAL_KEY_METHOD=passphrase SECRETS_LOCAL_PATH=$PWD/other secrets put --quiet a',
    );
    expect(made.code).toBe(0);
  });
  afterAll(() => template.remove());
  beforeEach(async () => {
    place = await makePlace();
    for (const part of ['home', 'cwd'] as const) cpSync(template[part], place[part], { recursive: true });
  });
  afterEach(() => place.remove());

  test.each(TABLE)('%i: %s: %s', async (code, _, script) => {
    const outcome = await place.sh(script);
    expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({
      code,
      stderr: expect.any(String) as string,
    });
    expect(outcome.stderr).not.toMatch(/^\s+at /m);
    expect(outcome.stderr === '').toBe(code === 0 || SILENT.has(code) || script.includes('doctor'));
  });

  test('130: interrupted while it waits for stdin', async () => {
    const heard = heardIn(place.root);
    const child = spawn('secrets', ['put', 'a'], {
      cwd: place.cwd,
      env: { ...place.env, ...heard.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
    try {
      await heard.saw('waits for stdin');
      child.kill('SIGINT');
      expect(await ended).toBe(130);
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('docs/exit-codes.md lists every kind of error with its code', () => {
    const page = readFileSync(join(ROOT, 'docs/exit-codes.md'), 'utf8');
    for (const [kind, code] of Object.entries(EXIT_CODES)) {
      expect(page).toMatch(new RegExp(`^\\| ${code} \\|.*\`${kind}\``, 'm'));
    }
  });
});

describe('exit codes of stores elsewhere', () => {
  let place: Place;
  let server: Server;
  beforeAll(async () => {
    place = await makePlace();
    server = createServer((_, response) => {
      response.writeHead(503).end('{"errors":["down"]}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    server.close();
    await place.remove();
  });
  const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  test('6: the backend is down, within --timeout', async () => {
    const env = { VAULT_ADDR: url(), VAULT_TOKEN: 'none' };
    const { code, stderr } = await place.sh('secrets get vault://a --timeout 2s', env);
    expect({ code, stderr }).toEqual({
      code: 6,
      stderr: expect.stringMatching(/^secrets: vault:\/\/a: /) as string,
    });
  });

  test('8: a secrets.yaml that was not trusted', async () => {
    const yaml = `stores: { team: { provider: vault, address: "${url()}" } }`;
    const { code, stderr } = await place.sh(`echo '${yaml}' > secrets.yaml; secrets get team://a`);
    expect({ code, stderr }).toEqual({
      code: 8,
      stderr: expect.stringMatching(
        /^secrets: team:\/\/a: the store team is not used, .*; review and accept it with secrets trust/,
      ) as string,
    });
    const trusted = await place.sh('secrets get team://a --trust --timeout 2s', { VAULT_TOKEN: 'none' });
    expect(trusted.code).toBe(6);
  });

  test('8: a variable of it that changes what programs run; 125 for exec', async () => {
    const env = { XDG_STATE_HOME: place.tmp };
    await place.sh("echo 'env: { LD_PRELOAD: ./x.so }' > secrets.yaml");
    expect((await place.sh('secrets env', env)).code).toBe(8);
    expect((await place.sh('secrets exec -- true', env)).code).toBe(125);
    expect((await place.sh('secrets env --trust', env)).code).toBe(0);
  });

  test('8 for several references into a store that is not trusted, 1 for a mixture', async () => {
    await place.sh(`echo 'stores: { team: { provider: vault, address: "${url()}" } }' > secrets.yaml`);
    const { code, stderr } = await place.sh('secrets get team://a team://b local://c');
    expect(code).toBe(1);
    expect(stderr.match(/the store team is not used/g)).toHaveLength(2);
    expect((await place.sh('secrets get team://a team://b')).code).toBe(8);
  });

  test('2: a profile that does not exist, a configuration that is wrong or not there', async () => {
    await place.sh("echo 'profiles: { prod: {} }' > secrets.yaml");
    expect((await place.sh('secrets get a --profile prd')).code).toBe(2);
    expect((await place.sh('secrets get a --config nope.yaml')).code).toBe(2);
    await place.sh("echo 'envs: {}' > secrets.yaml");
    expect((await place.sh('secrets get a')).code).toBe(2);
  });

  test('5: init where there is a secrets.yaml', async () => {
    expect((await place.sh('echo > secrets.yaml; secrets init')).code).toBe(5);
  });
});
