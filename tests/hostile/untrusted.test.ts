/**
 * The corpus of secrets.yaml files that want a credential sent somewhere or something run. Every command is run in
 * front of each, with credentials at hand, while a listener waits where the file wants them sent. Nothing arrives and
 * nothing is run before `secrets trust`; after it something does, so that the first half could have failed.
 */
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMIT_MS, makePlace, type Place, problemsOf } from '../e2e/program.ts';
import { type Listener, startListener } from './listener.ts';
import { ROOT_USER, testNeeding } from '../needs.ts';
import { sampled } from '../size.ts';
import { LINES } from './untrusted-lines.ts';

const CREDENTIALS: Readonly<Record<string, string>> = {
  VAULT_TOKEN: 'vault-canary-token',
  AWS_ACCESS_KEY_ID: 'canary-access-key',
  AWS_SECRET_ACCESS_KEY: 'aws-canary-secret',
  AWS_REGION: 'eu-west-1',
};

interface Case {
  readonly title: string;
  yaml(url: string): string;
  /** More of the environment, such as the user's own address of a server. */
  env?(url: string): Readonly<Record<string, string>>;
  /** Options for every command. */
  readonly options?: string;
  /** A reference into the store that the file is about. */
  readonly ref?: string;
  /** What shows that trusting it matters; without it the file is refused as it stands, and trusting it as well. */
  readonly proof?: 'request' | 'run' | 'folder' | 'program';
}

/** Sends a credential to the listener. */
const SENDING: readonly Case[] = [
  {
    title: 'an address that collects Vault tokens',
    yaml: (url) => `stores: { team: { provider: vault, address: "${url}" } }`,
    proof: 'request',
  },
  {
    title: 'a file that is sent as a token, to the user’s own server',
    yaml: () =>
      'stores: { team: { provider: vault, auth: { method: token, token-file: "./private-file" } } }',
    env: (url) => ({ VAULT_ADDR: url }),
    proof: 'request',
  },
  {
    title: 'a file that is sent as a JWT',
    yaml: () =>
      'stores: { team: { provider: vault, auth: { method: jwt, role: r, token-file: "./private-file" } } }',
    env: (url) => ({ VAULT_ADDR: url }),
    proof: 'request',
  },
  {
    title: 'an endpoint that collects signed requests',
    yaml: (url) => `stores: { team: { provider: aws, endpoint: "${url}" } }`,
    proof: 'request',
  },
  {
    title: 'a URL that collects Conjur API keys',
    yaml: (url) => `stores: { team: { provider: conjur, url: "${url}", account: acme } }`,
    env: () => ({ CONJUR_AUTHN_LOGIN: 'someone', CONJUR_AUTHN_API_KEY: 'conjur-canary-key' }),
    proof: 'request',
  },
  {
    title: 'a role to become',
    yaml: () => 'stores: { team: { provider: aws, assume-role: "arn:aws:iam::123456789012:role/x" } }',
    env: (url) => ({ AWS_ENDPOINT_URL: url }),
    proof: 'request',
  },
  {
    title: 'the name of the built-in store',
    yaml: (url) => `stores: { vault: { provider: vault, address: "${url}" } }`,
    ref: 'vault://a',
    proof: 'request',
  },
  {
    title: 'the default store',
    yaml: (url) => `default: team\nstores: { team: { provider: vault, address: "${url}" } }`,
    ref: 'a',
    proof: 'request',
  },
  {
    title: 'the store that ARNs are looked up in',
    yaml: (url) => `stores: { aws: { provider: aws, endpoint: "${url}" } }`,
    ref: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:a',
    proof: 'request',
  },
  {
    title: 'a profile',
    yaml: (url) =>
      `stores: { team: { provider: local } }\nprofiles: { ci: { stores: { team: { provider: vault, address: "${url}" } } } }`,
    options: '--profile ci',
    proof: 'request',
  },
  {
    title: 'variables that come from there',
    yaml: (url) =>
      `stores: { team: { provider: vault, address: "${url}" } }\nenv: { A: "team://a", B: { ref: "team://b", as: file, optional: true } }`,
    proof: 'request',
  },
];

const RUNNING: readonly Case[] = [
  { title: 'NODE_OPTIONS', yaml: () => 'env: { NODE_OPTIONS: "--require ./evil.cjs" }', proof: 'run' },
  { title: 'PATH', yaml: () => 'env: { PATH: "./evil:/usr/bin:/bin" }', proof: 'run' },
  {
    title: 'BASH_ENV, by a secret',
    yaml: () => 'env: { BASH_ENV: { ref: "local://script", as: file } }',
    proof: 'run',
  },
  {
    title: 'a folder to keep secrets in',
    yaml: () => 'stores: { team: { provider: local, path: ./collected } }',
    proof: 'folder',
  },
  {
    title: 'a key that somebody else knows',
    yaml: () =>
      'stores: { team: { provider: local, path: ./collected, key: { method: key-file, file: ./known.key } } }',
    proof: 'folder',
  },
  {
    title: 'a plugin on PATH',
    yaml: () => 'stores: { team: { provider: exec, plugin: evil } }',
    env: () => ({ PATH: `${place.cwd}/plugins:${place.env['PATH']}` }),
    proof: 'program',
  },
  { title: 'a plugin', yaml: () => 'stores: { team: { provider: exec, command: ./evil/run } }' },
  { title: 'a plugin by its name', yaml: () => 'stores: { team: { provider: ./evil/run } }' },
  {
    title: 'a hook',
    yaml: () => 'rotation: { "local://a": { every: 30d, apply: ./evil/run, verify: ./evil/run } }',
  },
  { title: 'a notification', yaml: (url) => `notify: "${url}"` },
  { title: 'a tag', yaml: () => "env: { A: !!js/function \"require('fs').writeFileSync('ran', '')\" }" },
];

let listener: Listener;
let place: Place;
beforeAll(async () => {
  listener = await startListener();
});
afterAll(() => listener.stop());
beforeEach(async () => {
  place = await makePlace();
  await mkdir(join(place.cwd, 'evil'));
  await writeFile(join(place.cwd, 'evil.cjs'), "require('node:fs').writeFileSync('ran', '')");
  for (const name of ['run', 'true'])
    await writeFile(join(place.cwd, 'evil', name), '#!/bin/sh\n: > ran\n', {
      mode: 0o755,
    });
  await mkdir(join(place.cwd, 'plugins'));
  await writeFile(join(place.cwd, 'plugins/secrets-provider-evil'), `#!/bin/sh\n: > '${place.cwd}/ran'\n`, {
    mode: 0o755,
  });
  await writeFile(join(place.cwd, 'private-file'), 'file-canary');
  await writeFile(join(place.home, '.vault-token'), 'home-canary');
});
afterEach(() => place.remove());

async function runAll(lines: readonly string[], options: string, env: Readonly<Record<string, string>>) {
  const script = lines
    .map(
      (line) =>
        `timeout -s KILL ${LIMIT_MS / 1000} secrets ${line.replace(/( --| <<<|$)/, ` ${options}$1`)}; echo "exit $? ${line}" >&2`,
    )
    .join('\n');
  // A remote that never answers would only make the test slow.
  const { stderr } = await place.sh(script, env);
  return stderr;
}

const exitsOf = (stderr: string): Map<string, number> =>
  new Map([...stderr.matchAll(/^exit (\d+) (.*)$/gm)].map(([, code, line = '']) => [line, Number(code)]));

describe.each([...sampled(SENDING, 5), ...sampled(RUNNING, 5)].map((one, turn) => ({ ...one, turn })))(
  '$title',
  ({ yaml, env: more, options = '', ref = 'team://a', proof, turn }) => {
    const lines = LINES(ref, turn);
    test('is not acted on before it is trusted', async () => {
      const env = { ...CREDENTIALS, ...more?.(listener.url) };
      await place.sh("printf ': > ran' | secrets put --quiet script; printf v | secrets put --quiet own");
      await writeFile(join(place.cwd, 'secrets.yaml'), `${yaml(listener.url)}\n`);
      const before = listener.connections();

      const stderr = await runAll(lines, options, env);
      expect(listener.connections()).toBe(before);
      expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
      expect(existsSync(join(place.cwd, 'collected'))).toBe(false);
      expect(stderr).not.toContain('canary');
      expect(problemsOf({ stdout: '', stderr: stderr.replaceAll(/^exit .*\n/gm, ''), code: 0 })).toEqual([]);
      const exits = exitsOf(stderr);
      expect([...exits.values()]).toHaveLength(lines.length);
      expect([...exits.values()]).not.toContain(137);

      const own = await place.sh(`secrets get local://own ${options}; secrets list local:// ${options}`, env);
      if (proof === undefined) {
        expect(exits.get(`get ${ref}`)).toBe(2);
        expect(
          (await place.sh(`secrets trust --yes; secrets ${options} get ${ref} --trust`, env)).code,
        ).not.toBe(0);
        await runAll(lines, '--trust', env);
        expect(listener.connections()).toBe(before);
        expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
        return;
      }
      // What needs none of it works.
      expect(own).toMatchObject({ stdout: expect.stringMatching(/^v(own|script)/) as string, code: 0 });
      expect(exits.get('stores')).toBe(0);
      expect(exits.get('trust --dry-run')).toBe(0);
      expect(exits.get('trust')).toBe(2);
      expect(exits.get('completion names')).toBe(0);
      if (proof !== 'run') {
        expect(exits.get(`get ${ref}`)).toBe(8);
        expect(exits.get(`put ${ref} <<< value`)).toBe(8);
        expect(exits.get(`copy local://own ${ref}`)).toBe(8);
        expect(exits.get(`import - ${ref} <<< A=b`)).toBe(8);
        expect(exits.get(`exec -e X=${ref} -- node -e 0`)).toBe(125);
      } else {
        expect(exits.get('exec -- bash -c true')).toBe(125);
        expect(exits.get('env')).toBe(8);
      }

      // And once it is trusted it does what it says.
      expect((await place.sh('secrets trust --yes', env)).code).toBe(0);
      const calls = ['get', 'put'].map((verb) => `${verb} ${ref} ${options} --timeout 2s`);
      const program = options === '' ? 'node -e 0' : 'true';
      await place.sh(
        `secrets ${calls[0] ?? ''}; secrets ${calls[1] ?? ''} <<< value; secrets exec -- bash -c ':'; secrets exec -- ${program}; secrets exec -- true`,
        {
          ...env,
          AWS_MAX_ATTEMPTS: '1',
        },
      );
      if (proof === 'request') expect(listener.connections()).toBeGreaterThan(before);
      if (proof === 'run' || proof === 'program') expect(existsSync(join(place.cwd, 'ran'))).toBe(true);
      if (proof === 'folder') expect(existsSync(join(place.cwd, 'collected'))).toBe(true);
    });
  },
);

test('a hook that rotates is not run before it is trusted', async () => {
  const policy = { every: '1d', generate: 'hex:8', target: { type: 'program', apply: './evil/run' } };
  await place.sh('printf v | secrets put --quiet own');
  await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation: { 'local://own': policy } }));
  const lines = ['rotate local://own', 'rotate local://own --dry-run', 'rotate --due', 'rotate status'];
  const more = ['rotate resume local://own', 'rotate rollback local://own', 'get local://own', 'doctor'];
  const exits = exitsOf(await runAll([...lines, ...more], '', {}));
  expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
  expect(exits.get('rotate local://own')).toBe(8);
  expect(exits.get('get local://own')).toBe(0);
  expect((await place.sh('secrets get local://own')).stdout).toBe('v');
  await place.sh('secrets trust --yes; secrets rotate local://own');
  expect(existsSync(join(place.cwd, 'ran'))).toBe(true);
});

test('nobody is told of a rotation before it is trusted', async () => {
  const notify = [listener.url, './evil/run', { program: ['./evil/run', 'x'] }];
  await place.sh('printf v | secrets put --quiet own');
  const before = listener.connections();
  for (const rotation of [{ notify }, { notify, 'local://own': {} }, { 'local://own': { notify } }]) {
    await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
    const lines = ['rotate local://own', 'rotate --due', 'rotate local://own --generate hex:8'];
    const exits = exitsOf(await runAll([...lines, 'rotate rollback local://own', 'rotate status'], '', {}));
    expect(exits.get('rotate --due')).not.toBe(137);
    expect(existsSync(join(place.cwd, 'ran'))).toBe(false);
    expect(listener.connections()).toBe(before);
  }
  await place.sh('secrets trust --yes; secrets rotate local://own');
  expect(existsSync(join(place.cwd, 'ran'))).toBe(true);
  expect(listener.connections()).toBeGreaterThan(before);
});

describe('a file that is not what it was, or not whose it seems', () => {
  const evil = (): string => `stores: { team: { provider: vault, address: "${listener.url}" } }\n`;
  const good = 'stores: { team: { provider: vault, address: "http://127.0.0.1:1" } }\n';
  const refusedEverywhere = async (cwd: string, code: number): Promise<void> => {
    const before = listener.connections();
    const stderr = await runAll(
      [`get team://a`, `put team://a <<< value`, 'list team://', 'exec -e X=team://a -- true'],
      '',
      { ...CREDENTIALS, PWD: cwd },
    );
    expect(listener.connections()).toBe(before);
    expect([...exitsOf(stderr).values()]).toEqual([code, code, code, 125]);
  };

  test('changed after it was trusted', async () => {
    await writeFile(join(place.cwd, 'secrets.yaml'), good);
    expect((await place.sh('secrets trust --yes')).code).toBe(0);
    expect((await place.sh('secrets get team://a --timeout 2s', CREDENTIALS)).code).toBe(6);
    await writeFile(join(place.cwd, 'secrets.yaml'), evil());
    await refusedEverywhere(place.cwd, 8);
    const { stdout } = await place.sh('secrets trust --dry-run');
    expect(stdout).toContain('has changed since you trusted it');
    expect(stdout).toContain(`${listener.url}  (new)`);
  });

  test('a copy of a trusted one, in another folder', async () => {
    await mkdir(join(place.home, 'mine'));
    await writeFile(join(place.home, 'mine/secrets.yaml'), evil());
    expect((await place.sh('secrets trust --yes ~/mine/secrets.yaml; cp ~/mine/secrets.yaml .')).code).toBe(
      0,
    );
    await refusedEverywhere(place.cwd, 8);
  });

  test('a link to a trusted one of another project', async () => {
    await mkdir(join(place.home, 'mine'));
    await writeFile(join(place.home, 'mine/secrets.yaml'), evil());
    expect((await place.sh('secrets trust --yes ~/mine/secrets.yaml')).code).toBe(0);
    await symlink(join(place.home, 'mine/secrets.yaml'), join(place.cwd, 'secrets.yaml'));
    await refusedEverywhere(place.cwd, 8);
  });

  test('a link to a file with a secret in it', async () => {
    await writeFile(join(place.home, 'key'), 'password: hunter2hunter2\n', { mode: 0o600 });
    await symlink(join(place.home, 'key'), join(place.cwd, 'secrets.yaml'));
    const { stderr, code } = await place.sh('secrets get a');
    expect({ stderr, code }).toEqual({ stderr: expect.not.stringContaining('hunter2') as string, code: 8 });
  });

  testNeeding(ROOT_USER)('another user’s (needs root)', async () => {
    await writeFile(join(place.cwd, 'secrets.yaml'), evil());
    await chown(join(place.cwd, 'secrets.yaml'), 12_345, 12_345);
    // It is not read at all: there is no such store.
    await refusedEverywhere(place.cwd, 2);
    const { stderr } = await place.sh('secrets get team://a');
    expect(stderr).toMatch(
      /^secrets: warning: .*secrets\.yaml is not read: it or its folder belongs to another user/,
    );
  });

  test('a record of trust that somebody else could have written', async () => {
    await writeFile(join(place.cwd, 'secrets.yaml'), evil());
    expect((await place.sh('secrets trust --yes')).code).toBe(0);
    await chmod(join(place.home, '.local/state/secrets/trust'), 0o777);
    await refusedEverywhere(place.cwd, 4);
  });

  test('a store of the user’s own name does not take what is meant for it', async () => {
    await mkdir(join(place.home, '.config/secrets'), { recursive: true });
    await writeFile(join(place.home, '.config/secrets/secrets.yaml'), good, { mode: 0o600 });
    await writeFile(join(place.cwd, 'secrets.yaml'), 'stores: { team: { provider: local } }\n');
    const { code, stderr } = await place.sh('secrets put team://a <<< value', CREDENTIALS);
    expect({ code, stderr }).toEqual({
      code: 8,
      stderr: expect.stringContaining('takes the place of your own store') as string,
    });
    // The audit log's last line is noted there; no store is made.
    expect(await readdir(join(place.home, '.local/share/secrets'))).toEqual(['audit-heads']);
  });

  test('what is shown for trust can’t hide behind the characters of a terminal, and is whole', async () => {
    const address = `https://vault.example.com/${'x'.repeat(1500)}@evil.example`;
    await writeFile(
      join(place.cwd, 'secrets.yaml'),
      `stores:\n  a: { provider: vault, address: "${address}" }\n  b: { provider: vault, address: "https://v\\u0430ult.example.com" }\n  c: { provider: vault, address: "https://x\\u200b.example" }\n`,
    );
    const { stdout } = await place.sh('secrets trust --dry-run');
    expect(stdout).toContain(address);
    expect(stdout).toContain('stores.b.address: https://v\\u0430ult.example.com');
    expect(stdout).toContain('stores.c.address: https://x\\u200b.example');
    expect(stdout).toMatch(/^[ -~\n]*$/);
    expect(await readFile(join(place.cwd, 'secrets.yaml'), 'utf8')).toContain('\\u0430');
  });
});
