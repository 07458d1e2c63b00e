/**
 * Every command of the program leaves the records that it must: allowed, failed and denied, on the local store, Vault
 * and AWS. A command that is not in the table fails the last test.
 */
import { commands } from '../../src/commands/index.ts';
import { scenarioFiles as awsFiles, startAws } from '../backends/aws.ts';
import { functionArn } from '../backends/functions.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault } from '../backends/vault.ts';
import { makePlace, type Place } from '../e2e/program.ts';
import { NO_SECRET } from './no-secret.ts';
import { accessesIn, logOf, shortOf } from './program.ts';

type Env = Readonly<Record<string, string>>;

interface Line {
  /** Command, or noun and verb. */
  readonly covers: string;
  /** What bash runs; `@` stands for `STORE://`. */
  readonly line: string;
  /** What is recorded, in the order of the alphabet, each once; outcomes are `allowed` where none is given. */
  readonly records: readonly string[];
  readonly exit?: number;
  /** Only there. */
  readonly store?: string;
  /** What is recorded where the store refuses everything; the same accesses, denied, when it is not given. */
  readonly denied?: readonly string[];
}

const NOT_FOUND = 'failed NotFound';
/** What a rotation looks at again and again. */
const LOOKS = ['read @r', `read @r?stage=pending ${NOT_FOUND}`, `read @r?stage=previous ${NOT_FOUND}`];
const DENIED_LOOKS = ['read @r', 'read @r?stage=pending', 'read @r?stage=previous', 'rotate @r'];

const ROTATES = functionArn('rotates');
/** The line in a folder whose secrets.yaml has these rotations. */
const withRotation = (rotation: string, line: string): string =>
  `echo '{"rotation":{${rotation}}}' > secrets.yaml; ${line}; code=$?; rm secrets.yaml; exit $code`;
const NATIVE = `"@n":{"every":"30d","native":{"function":"${ROTATES}"}}`;
/** What is there when the report is made, beside what a store has from elsewhere. */
const REPORTED = ['I', 'a', 'anchor', 'c', 'from/a', 'j', 'r', 'to/a', 'w'];

/** Reads every value once, and describes each secret. */
function report(store: string, names: readonly string[]): Line {
  return {
    covers: 'audit report',
    line: 'secrets audit report --values --json @',
    records: ['list @', ...names.flatMap((name) => [`describe @${name}`, `read @${name}`])],
    denied: ['list @'],
    store,
  };
}

const LINES: readonly Line[] = [
  { covers: 'put', line: 'printf one | secrets put @a', records: ['write @a'] },
  {
    covers: 'put',
    line: 'printf v | secrets put @j#k',
    records: [`read @j ${NOT_FOUND}`, 'write @j#k'],
    denied: ['read @j'],
  },
  { covers: 'get', line: 'secrets get @a', records: ['read @a'] },
  { covers: 'get', line: 'secrets get @j#k @a @j#k', records: ['read @a', 'read @j#k'] },
  {
    covers: 'get',
    line: 'secrets get @nope',
    records: [`read @nope ${NOT_FOUND}`],
    exit: 3,
    denied: ['read @nope'],
  },
  {
    covers: 'get',
    line: 'secrets get @a @nope',
    records: ['read @a', `read @nope ${NOT_FOUND}`],
    exit: 3,
    denied: ['read @a', 'read @nope'],
  },
  { covers: 'get', line: 'secrets get --metadata @a', records: ['describe @a'] },
  { covers: 'list', line: 'secrets list @a', records: ['list @a'] },
  { covers: 'list', line: 'secrets list @', records: ['list @'] },
  { covers: 'history', line: 'secrets history @a', records: ['describe @a'] },
  {
    covers: 'history',
    line: 'secrets history @nope',
    records: [`describe @nope ${NOT_FOUND}`],
    exit: 3,
    denied: ['describe @nope'],
  },
  { covers: 'exec', line: 'secrets exec -e A=@a -e B=@j#k -- true', records: ['read @a', 'read @j#k'] },
  {
    covers: 'exec',
    line: 'secrets exec -e A=@nope -- true',
    records: [`read @nope ${NOT_FOUND}`],
    exit: 125,
    denied: ['read @nope'],
  },
  {
    // The same look again and again is recorded once, and what is read at the restart.
    covers: 'exec',
    line: `printf one | secrets put @w; rm -f up
      secrets exec --restart-on-rotate --poll 1s --debounce 100ms -e V=@w -- sh -c 'touch up; [ "$V" = two ] || sleep 50' &
      while kill -0 $! 2> /dev/null && ! [ -e up ]; do sleep 0.1; done
      printf two | secrets put @w; wait $!`,
    records: ['write @w', 'read @w', 'describe @w'],
    denied: ['write @w', 'read @w'],
  },
  { covers: 'env', line: 'secrets env -e A=@a --format json', records: ['read @a'] },
  { covers: 'env', line: 'secrets env --from @j --prefix J_ --format json', records: ['read @j'] },
  {
    covers: 'inject',
    line: 'printf "{{ @a }} {{ @j#k }}" | secrets inject',
    records: ['read @a', 'read @j#k'],
  },
  {
    covers: 'inject',
    line: 'printf "{{ @a }} {{ @nope }}" | secrets inject',
    records: ['read @a', `read @nope ${NOT_FOUND}`],
    exit: 3,
    denied: ['read @a', 'read @nope'],
  },
  {
    covers: 'reference',
    line: 'secrets reference @a --for cloudformation --check',
    records: ['describe @a'],
    store: 'aws',
  },
  {
    covers: 'reference',
    line: 'secrets reference @j#k --for external-secrets --check',
    records: ['describe @j', 'read @j#k'],
    denied: ['describe @j'],
    store: 'vault',
  },
  {
    covers: 'copy',
    line: 'secrets copy @a @c',
    records: ['describe @a', 'read @a', `read @c ${NOT_FOUND}`, 'write @c'],
    denied: ['read @a', 'read @c'],
  },
  { covers: 'diff', line: 'secrets diff @a @c', records: ['read @a', 'read @c'] },
  {
    covers: 'sync',
    line: 'printf one | secrets put @from/a; secrets sync @from/ @to/ --yes',
    records: [
      'list @from/',
      'list @to/',
      'read @from/a',
      `read @to/a ${NOT_FOUND}`,
      'write @from/a',
      'write @to/a',
    ],
    denied: ['write @from/a', 'list @from/', 'list @to/'],
  },
  {
    covers: 'import',
    line: 'printf "I=1\\n" > in.env; secrets import in.env @',
    records: [`read @I ${NOT_FOUND}`, 'write @I'],
    denied: ['read @I'],
  },
  {
    covers: 'rotate',
    line: 'printf old | secrets put @r; secrets rotate @r --generate alnum:24',
    records: [
      ...LOOKS,
      'describe @r',
      'label @r',
      'promote @r',
      'read @r?stage=pending',
      'read @r?stage=previous',
      'rotate @r',
      'write @r',
      'write @r?stage=pending',
    ],
    denied: [...DENIED_LOOKS, 'write @r'],
  },
  { covers: 'rotate status', line: 'secrets rotate status --json', records: ['list @'], store: 'local' },
  {
    covers: 'rotate resume',
    line: 'secrets rotate resume @r --without-target',
    records: ['read @r', `read @r?stage=pending ${NOT_FOUND}`, 'read @r?stage=previous', 'rotate @r'],
    denied: DENIED_LOOKS,
  },
  // The local store has no rotation of its own to cancel, and says so before it looks.
  { covers: 'rotate cancel', line: 'secrets rotate cancel @r', records: [], exit: 2, store: 'local' },
  {
    covers: 'rotate rollback',
    line: 'secrets rotate rollback @r --to-previous --without-target',
    records: [
      'read @r',
      'read @r?stage=pending',
      `read @r?stage=pending ${NOT_FOUND}`,
      'read @r?stage=previous',
      'describe @r',
      'label @r',
      'promote @r',
      'write @r?stage=pending',
      'rotate @r',
    ],
    denied: DENIED_LOOKS,
  },
  // Checkpoint and verification are about the log; where the anchor is kept is a secret like any.
  { covers: 'audit anchor', line: 'secrets audit anchor --to @anchor', records: ['write @anchor'] },
  {
    covers: 'audit verify',
    line: 'secrets audit verify --anchor @anchor',
    records: ['read @anchor'],
  },
  report('local', [...REPORTED, 'unused']),
  report('vault', REPORTED),
  report('aws', REPORTED),
  {
    // The key that signs what is told is read like any secret, and what is told leaves no record.
    covers: 'rotate',
    line: withRotation(
      '"notify":{"url":"http://127.0.0.1:9","secret":"@hook"}',
      'for n in hook s; do printf old | secrets put @$n; done; secrets rotate @s --generate alnum:24 --trust',
    ),
    records: [
      'read @hook',
      'write @hook',
      ...LOOKS.map((look) => look.replace('@r', '@s')),
      'describe @s',
      'label @s',
      'promote @s',
      'read @s?stage=pending',
      'read @s?stage=previous',
      'rotate @s',
      'write @s',
      'write @s?stage=pending',
    ],
    denied: [
      ...DENIED_LOOKS.map((look) => look.replace('@r', '@s')),
      'read @hook',
      'write @hook',
      'write @s',
    ],
    store: 'local',
  },
  {
    covers: 'rotate',
    line: withRotation(NATIVE, 'printf v | secrets put @n; secrets rotate --configure --trust'),
    records: ['write @n', 'describe @n', 'other @n'],
    denied: ['write @n', 'describe @n'],
    store: 'aws',
  },
  {
    covers: 'rotate',
    line: withRotation(NATIVE, 'secrets rotate @n --wait 0 --trust'),
    records: ['describe @n', 'rotate @n'],
    store: 'aws',
  },
  {
    covers: 'rotate cancel',
    line: 'secrets rotate cancel @n',
    records: ['describe @n', 'other @n'],
    denied: ['describe @n'],
    store: 'aws',
  },
  { covers: 'delete', line: 'secrets delete @a', records: ['delete @a'] },
  {
    covers: 'delete',
    line: 'secrets delete @a',
    records: [`delete @a ${NOT_FOUND}`],
    exit: 3,
    denied: ['delete @a'],
  },
  { covers: 'restore', line: 'secrets restore @a', records: ['restore @a'] },
  { covers: 'purge', line: 'secrets purge @a --yes', records: ['purge @a'] },
  { covers: 'stores rekey', line: 'secrets stores rekey', records: ['rekey @'], store: 'local' },
];

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
