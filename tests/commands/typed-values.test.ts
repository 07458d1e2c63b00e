/** A value that is typed in the place of a reference, or stands in a variable for something else, is not repeated. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { looksLikeValue } from '../../src/core/text/suspect.ts';
import { Box, type Outcome } from '../exec/setup.ts';

let box: Box;
beforeAll(() => {
  box = new Box();
  box.put('text', 'plain-value');
});
afterAll(() => box.remove());

/** In parts, so that no scanner takes this file for a leak. */
const TOKENS: readonly string[] = [
  ['hvs.', 'CAESIJlU02LQZq'],
  ['ghp_', '16C7e42F292c6912E7710c838347Ae178B4a'],
  ['eyJ', 'hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N'],
  ['postgres://app:', 'pa55word@db/app'],
  ['-----BEGIN ', 'PRIVATE KEY-----\nabcdefgh\n'],
].map((parts) => parts.join(''));
const VALUES = ['my p@ssword here', 'correct$horse!', 'Xk29sKdl2Lsk20sd', 'd41d8cd98f00b204e9800998ecf8427e'];

/** Everything that a run leaves for others to read. */
function traces({ stdout, stderr }: Outcome): string {
  const log = join(box.home, '.local/state/secrets/audit/audit.jsonl');
  return stdout + stderr + readFileSync(log, 'utf8');
}

/** The secret part of what was typed. */
function partOf(text: string): string {
  return (/app:(\w+)@/.exec(text)?.[1] ?? text).split('\n').at(-2) ?? text.slice(-12);
}

const COMMANDS: readonly (readonly [string, (text: string) => readonly string[]])[] = [
  ['get', (text) => ['get', text]],
  ['get --json --debug', (text) => ['get', text, '--json', '--debug']],
  ['history', (text) => ['history', text]],
  ['delete', (text) => ['delete', text]],
  ['copy', (text) => ['copy', text, 'local://other']],
  ['rotate', (text) => ['rotate', text]],
  ['exec -e', (text) => ['exec', '-e', `TOKEN=${text}`, '--', 'true']],
  ['exec -e without a name', (text) => ['exec', '-e', text, '--', 'true']],
  ['exec --from', (text) => ['exec', '--from', text, '--', 'true']],
  ['a command', (text) => [text]],
  ['an option', (text) => ['get', `--token=${text}`, 'text']],
];

describe.each(COMMANDS)('as %s', (command, words) => {
  const all = [...TOKENS, ...VALUES];
  test.each(all.filter((_, index) => command === 'get' || index % 5 === 0).map((text) => [text]))(
    'does not repeat %j',
    async (text) => {
      const outcome = await box.run(words(text));
      expect(outcome.code).not.toBe(0);
      expect(outcome.stderr).toMatch(/not shown: it looks like a value|looks like a credential|\*\*\*/);
      expect(traces(outcome)).not.toContain(partOf(text));
    },
  );
});

test('no store is asked for a credential, and the line says how a name like it is written', async () => {
  const outcome = await box.run(['get', TOKENS[0] as string]);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toBe(
    'secrets: the reference looks like a credential; no store was asked for it; pipe values in through stdin, or write STORE://NAME for a name like this\n',
  );
});

test('nor does the log have it in another field', async () => {
  const token = TOKENS[1] as string;
  for (const words of [
    ['get', 'text', '--reason', token],
    ['get', `text?version=${token}`],
    ['restore', 'text', '--version', token],
    ['get', `text#${token}`],
    ['list', `local://${token}/`],
    ['stores', 'rekey', token],
    ['exec', '--from', `${token}/`, '--', 'true'],
  ])
    expect(traces(await box.run(words))).not.toContain(partOf(token));
});

test('a reference that is not found is named', async () => {
  for (const ref of ['paments/db', 'ProdDbPassword2', 'app/db-url', 'rds!db-4711', 'local://two words']) {
    expect(looksLikeValue(ref)).toBe(false);
    expect((await box.run(['get', ref])).stderr).toContain(ref);
  }
});

test('a secret of a name that looks like a value is read and recorded by it', async () => {
  box.put('two words', 'its-value');
  const outcome = await box.run(['get', 'two words']);
  expect(outcome).toMatchObject({ code: 0, stdout: 'its-value' });
  expect(traces(outcome)).toContain('"secret":"two words"');
});

test.each([
  ['SECRETS_CONFIG', 'text', 'hunter2000-zz!'],
  ['SECRETS_CONFIG', 'text', '/hunter2000-zz'],
  ['SECRETS_CONFIG', 'text', 'hunter2000'],
  ['AWS_PROFILE', 'aws://x', 'hunter2000'],
  ['AWS_PROFILE', 'aws://x', 'hunter2000-zz!'],
  ['CONJUR_AUTHN_TYPE', 'conjur://x', 'hunter2000'],
  ['VAULT_CACERT', 'vault://x', 'http://hunter2000:pw@127.0.0.1:1/'],
  ['HOME', 'text', 'hunter2000-zz!'],
])('the content of %s is not repeated, its name is (%s, %s)', async (name, ref, content) => {
  const env = {
    AWS_REGION: 'eu-west-1',
    AWS_EC2_METADATA_DISABLED: 'true',
    VAULT_ADDR: 'https://127.0.0.1:1',
    VAULT_TOKEN: 'token-of-the-test',
    CONJUR_APPLIANCE_URL: 'http://127.0.0.1:1',
    CONJUR_ACCOUNT: 'a',
    [name]: content,
  };
  for (const more of [[], ['--json'], ['--debug']]) {
    const { code, stdout, stderr } = await box.run(['get', ref, '--timeout', '2s', ...more], { env });
    expect(code).not.toBe(0);
    expect(stderr).toContain(name);
    expect(stdout + stderr).not.toContain('hunter2000');
  }
});
