/** What counts as a new sign-in: the files that the managers' own programs write. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { StoreSettings } from '../../src/core/trust.ts';
import type { ProviderDescriptor } from '../../src/providers/descriptor.ts';
import { providers } from '../../src/providers/registry.ts';
import { credentialState } from '../../src/session/agent-identity.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'secrets-sign-in-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const write = (name: string, content: string): void => {
  const path = join(home, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
};
const stateOf = (kind: string, now = 0, settings: StoreSettings = {}): string => {
  const descriptor = providers.find((one) => one.kind === kind);
  return credentialState({ world: { env: {}, home, cwd: home }, descriptor, settings, now });
};

test.each([
  ['aws', '.aws/credentials'],
  ['aws', '.aws/sso/cache/0a1b.json'],
  ['aws', '.aws/login/cache/0a1b.json'],
  ['gcp', '.config/gcloud/application_default_credentials.json'],
  ['gcp', '.config/gcloud/configurations/config_work'],
  ['azure', '.azure/azureProfile.json'],
  ['conjur', '.netrc'],
  ['conjur', 'my/netrc'],
  ['vault', '.vault-token'],
])('%s: ~/%s', (kind, name) => {
  write('.conjurrc', `account: a\nnetrc_path: "${home}/my/netrc"\n`);
  const states = [stateOf(kind)];
  // Also where the same file is written again, which leaves its folder as it was.
  for (const content of ['one', 'other']) {
    write(name, content);
    states.push(stateOf(kind));
  }
  expect(new Set(states).size).toBe(3);
  expect(stateOf(kind)).toBe(states[2]);
});

test('where a sign-in shows in no file, it counts for five minutes', () => {
  const minutes = 60_000;
  expect(stateOf('aws', 6 * minutes)).toBe(stateOf('aws'));
  write('.aws/config', '[default]\ncredential_process = /usr/bin/sign-in\n');
  expect(stateOf('aws', 4 * minutes)).toBe(stateOf('aws'));
  expect(stateOf('aws', 6 * minutes)).not.toBe(stateOf('aws'));
  for (const [settings, isElsewhere] of [
    [{}, true],
    [{ auth: { method: 'azure-cli' } }, true],
    [{ auth: { method: 'managed-identity' } }, false],
  ] as const)
    expect(stateOf('azure', 6 * minutes, settings) !== stateOf('azure', 0, settings)).toBe(isElsewhere);
});

test('a pipe in the place of a file is left to the library that reads it', () => {
  const pipe = join(home, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Whoever writes into a pipe waits for a reader, and the other way round.
  const writer = spawn('sh', ['-c', `echo mine > '${pipe}'`], { stdio: 'ignore' });
  try {
    let seen: string | undefined = '';
    const descriptor = {
      credentialFiles: ({ read }: { read: (path: string) => string | undefined }) => {
        seen = read(pipe);
        return [];
      },
    } as unknown as ProviderDescriptor;
    credentialState({ world: { env: {}, home, cwd: home }, descriptor, settings: {} });
    expect(seen).toBeUndefined();
  } finally {
    writer.kill('SIGKILL');
  }
});
