/** The signing key with its passphrase in the OS key chain, through the program. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '../../src/core/audit/record.ts';
import { inSession as runInSession, KEYCHAIN } from '../backends/keychain.ts';
import { describeWith } from '../backends/server.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { logOf, recordsIn } from './program.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const folder = (): string => join(place.home, '.local/state/secrets/audit');
const keyFile = (): string => join(folder(), 'signing.key');
const keyText = (): string => readFileSync(keyFile(), 'utf8');
const PLAIN = '-----BEGIN PRIVATE KEY-----';
const ENCRYPTED = '-----BEGIN ENCRYPTED PRIVATE KEY-----';
/** What stands in the file, by its first lines. */
const formOf = (text: string): string[] => text.match(/^-----BEGIN .*$/gm) ?? [];
const expectEncrypted = (): void =>
  expect(formOf(keyText())).toEqual(['-----BEGIN PUBLIC KEY-----', ENCRYPTED]);

/** The user's own settings. */
function settings(audit: string): void {
  const own = join(place.home, '.config/secrets');
  mkdirSync(own, { recursive: true, mode: 0o700 });
  writeFileSync(
    join(own, 'secrets.yaml'),
    `audit: { ${audit} }\nstores: { local: { provider: local, key: { method: key-file } } }\n`,
  );
}
const signers = (): (string | undefined)[] => [
  ...new Set(
    recordsIn(logOf(place))
      .filter(({ kind }) => kind === 'checkpoint')
      .map(({ checkpoint }: AuditRecord) => checkpoint?.key),
  ),
];

/** Exit code 8 and one line, with what to do. */
function expectRefused({ code, stderr }: Outcome, message: RegExp): void {
  expect([code, stderr]).toEqual([8, expect.stringMatching(message)]);
  expect(
    stderr
      .replace(/^dbus-daemon.*\n/gm, '')
      .trim()
      .split('\n'),
  ).toHaveLength(1);
}

const UNREACHABLE =
  /cannot write the audit log: the key chain of this system is not reachable; unlock it, or set audit\.key: key-file/;
const UNREACHABLE_LATER =
  /key chain of this system is not reachable; unlock it, or move .*signing\.key away: /;

describe('without a key chain', () => {
  test('required gives no value and makes no key; best-effort warns', async () => {
    settings('key: keychain, log: required');
    expectRefused(await place.sh('printf one | secrets put a'), UNREACHABLE);
    expect(readdirSync(folder())).not.toContain('signing.key');
    settings('key: keychain');
    const { code, stderr } = await place.sh('printf one | secrets put a --quiet; secrets get a >value');
    expect([code, readFileSync(join(place.cwd, 'value'), 'utf8')]).toEqual([0, 'one']);
    expect(stderr).toMatch(/not recorded.*the key chain of this system is not reachable/);
    expect(readdirSync(folder())).not.toContain('signing.key');
  });

  test('a plain key stays as it is', async () => {
    await place.sh('printf one | secrets put a --quiet');
    const then = keyText();
    settings('key: keychain, log: required');
    // What needs no signature needs no key chain.
    expect(await place.sh('secrets get a')).toEqual({ code: 0, stdout: 'one', stderr: '' });
    expectRefused(await place.sh('secrets audit anchor'), UNREACHABLE);
    expect(keyText()).toBe(then);
    expect(readdirSync(folder()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describeWith('with a key chain', KEYCHAIN, () => {
  const inSession = (script: string): Promise<Outcome> => runInSession(place, script);

  test('a new key never stands in its file in plain, and signs', async () => {
    settings('key: keychain, log: required');
    const { stdout } = await inSession(
      'printf one | secrets put a; secrets get a; secrets audit anchor >anchor; echo " $?"',
    );
    expect(stdout).toBe('one 0\n');
    expectEncrypted();
    expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
    // Verifying needs the public half alone.
    const verified = await place.sh('secrets audit verify --anchor anchor');
    expect([verified.code, verified.stderr, verified.stdout.includes('--key')]).toEqual([0, '', false]);
    expect(verified.stdout).toContain(`by ${signers().join()}`);
    // Another session of the same user signs with it; without a session nobody does.
    const then = keyText();
    expect((await inSession('secrets get a; secrets audit anchor')).code).toBe(0);
    expectRefused(await place.sh('secrets get a; secrets audit anchor'), UNREACHABLE_LATER);
    expect([keyText(), signers().length]).toEqual([then, 1]);
  });

  test('a plain key is taken over, and back, and stays the same', async () => {
    await place.sh('printf one | secrets put a --quiet');
    const plain = keyText();
    expect(formOf(plain)).toEqual([PLAIN]);
    settings('key: keychain');
    expect((await inSession('secrets audit anchor')).code).toBe(0);
    expectEncrypted();
    const encrypted = keyText();
    // Taking the line away decrypts nothing.
    settings('log: required');
    expect((await inSession('secrets get a; secrets audit anchor')).code).toBe(0);
    expect(keyText()).toBe(encrypted);
    settings('key: key-file');
    expectRefused(await place.sh('secrets get a; secrets audit anchor'), UNREACHABLE_LATER);
    expect(keyText()).toBe(encrypted);
    expect((await inSession('secrets get a; secrets audit anchor')).code).toBe(0);
    expect(keyText()).toBe(plain);
    expect((await place.sh('secrets get a; secrets audit anchor')).code).toBe(0);
    expect((await place.sh('secrets audit verify')).code).toBe(0);
    expect(signers()).toHaveLength(1);
    // The key chain has lost what opened the other form.
    writeFileSync(keyFile(), encrypted);
    expectRefused(
      await inSession('secrets get a; secrets audit anchor'),
      /the key chain has no passphrase for .*signing\.key; unlock it, or move /,
    );
  });

  test('eight processes that take it over at once leave a key that can be used', async () => {
    await place.sh('printf one | secrets put a --quiet');
    settings('key: keychain');
    const { stdout } = await inSession(
      'for n in 1 2 3 4 5 6 7 8; do (secrets audit anchor >/dev/null; echo "code $?") & done; wait',
    );
    expect(stdout).toBe('code 0\n'.repeat(8));
    expectEncrypted();
    expect((await inSession('secrets get a; secrets audit anchor')).code).toBe(0);
    expect((await place.sh('secrets audit verify')).code).toBe(0);
    expect(signers()).toHaveLength(1);
  });

  test('one that is killed before its file is replaced has lost nothing', async () => {
    await place.sh('printf one | secrets put a --quiet');
    const plain = keyText();
    settings('key: keychain');
    const hook = join(place.root, 'kill.cjs');
    writeFileSync(
      hook,
      `const fs = require('node:fs'), { rename } = { rename: fs.renameSync };
       fs.renameSync = (from, to) => to.endsWith('signing.key') ? process.kill(process.pid, 'SIGKILL') : rename(from, to);
       require('node:module').syncBuiltinESMExports();`,
    );
    const killed = await inSession(`NODE_OPTIONS='--require ${hook}' secrets audit anchor; echo "code $?"`);
    expect(killed.stdout).toBe('code 137\n');
    expect(keyText()).toBe(plain);
    expect((await inSession('secrets audit anchor')).code).toBe(0);
    expectEncrypted();
    expect((await place.sh('secrets audit verify')).code).toBe(0);
    expect(signers()).toHaveLength(1);
  });
});
