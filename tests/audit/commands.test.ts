/**
 * Every command of the program leaves the records that it must: allowed, failed and denied, on the local store, Vault
 * and AWS. A command that is not in the table fails the last test.
 */
import { commands } from '../../src/commands/index.ts';
import { scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault } from '../backends/vault.ts';
import { makePlace, type Place } from '../e2e/program.ts';
import { LINES, ROTATES } from './lines.ts';
import { NO_SECRET } from './no-secret.ts';
import { accessesIn, logOf, shortOf } from './program.ts';

type Env = Readonly<Record<string, string>>;

/** The accesses of one line. */
async function run(place: Place, store: string, line: string, env: Env) {
  const before = accessesIn(logOf(place)).length;
  const { code, stderr } = await place.sh(line.replaceAll('@', `${store}://`), env);
  const records = accessesIn(logOf(place)).slice(before);
  return { code, stderr, records, short: [...new Set(records.map(shortOf))].toSorted() };
}

function expected(store: string, records: readonly string[], outcome: string): readonly string[] {
  return [
    ...new Set(
      records.map((record) => {
        const full = record.split(' ').length > 2 ? record : `${record} ${outcome}`;
        return full.replaceAll('@', `${store}://`);
      }),
    ),
  ].toSorted();
}

function itRecords(
  store: string,
  start: () => Promise<{ env: Env; refused: Env; refuse?: string; stop(): Promise<void> }>,
): void {
  let place: Place;
  let backend: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    [place, backend] = await Promise.all([makePlace(), start()]);
    await place.sh('printf x | secrets put local://unused');
  });
  afterAll(async () => {
    await backend.stop();
    await place.remove();
  });
  const lines = LINES.filter((line) => line.store === undefined || line.store === store);

  // In this order: later lines use what earlier ones wrote.
  test.each(lines)('$line', async ({ line, records, exit = 0 }) => {
    const found = await run(place, store, line, backend.env);
    expect({ code: found.code, short: found.short, stderr: found.stderr }).toEqual({
      code: exit,
      short: expected(store, records, 'allowed'),
      stderr: expect.any(String) as string,
    });
  });

  test.each(lines)('$line, refused', async ({ line, records, denied = records }) => {
    const refused = backend.refuse === undefined ? line : `${backend.refuse}; (${line})`;
    const found = await run(place, store, refused, backend.refused);
    expect({ short: found.short, stderr: found.stderr }).toEqual({
      short: expected(store, denied, 'denied Denied'),
      stderr: expect.any(String) as string,
    });
    expect(found.records.every(({ outcome }) => outcome === 'denied')).toBe(true);
  });
}

describe('local', () => {
  itRecords('local', () =>
    Promise.resolve({
      env: {},
      refused: {},
      // A store that others can write to is not used.
      refuse: 'chmod 777 "$HOME/.local/share/secrets/store"',
      stop: () => Promise.resolve(),
    }),
  );
});

describeWith('vault', vaultFiles, () => {
  itRecords('vault', async () => {
    const vault = await startVault();
    await vault.api('POST', 'sys/auth/userpass', { type: 'userpass' });
    await vault.api('POST', 'auth/userpass/users/alice', { password: 'p-1' });
    await vault.api('PUT', 'sys/policies/acl/none', {
      policy:
        'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }\npath "secret/data/none" { capabilities = ["read"] }',
    });
    const made = await vault.api('POST', 'auth/token/create', { policies: ['none'] });
    const { client_token: token } = made['auth'] as { readonly client_token: string };
    return {
      env: { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token },
      refused: { VAULT_ADDR: vault.url, VAULT_TOKEN: token },
      stop: () => vault.stop(),
    };
  });
});

describeWith('aws', awsFiles, () => {
  itRecords('aws', async () => {
    const aws = await startAws();
    aws.functions.define(ROTATES, () => Promise.resolve());
    return { env: aws.admin, refused: aws.nobody, stop: () => aws.stop() };
  });
});

describe('commands that touch no secret', () => {
  let place: Place;
  beforeAll(async () => {
    place = await makePlace();
  });
  afterAll(() => place.remove());

  test.each(Object.values(NO_SECRET))('$line: $why', async ({ line, exit = 0 }) => {
    const { code, records } = await run(place, 'local', line, {});
    expect({ code, records }).toEqual({ code: exit, records: [] });
  });
});

test('every registered command is in one of the tables', () => {
  const known = commands.flatMap(({ name, subcommands = [] }) => [
    name,
    ...subcommands.map((sub) => `${name} ${sub.name}`),
  ]);
  const covered = new Set([...LINES.map(({ covers }) => covers), ...Object.keys(NO_SECRET)]);
  expect(known.filter((name) => !covered.has(name))).toEqual([]);
});
