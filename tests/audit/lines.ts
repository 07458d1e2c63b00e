/** What each command records: allowed, and where the store refuses everything. */
import { functionArn } from '../backends/functions.ts';

export interface Line {
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

export const ROTATES = functionArn('rotates');
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

/** A grant from its plan to its end. */
function accessLines(store: string, principal: string): readonly Line[] {
  const changing = (verb: string, line: string): Line => ({
    ...{ covers: `access ${verb}`, line, records: ['access @w', 'describe @w'] },
    ...{ denied: ['access @w'], store },
  });
  return [
    changing('grant', `secrets access grant ${principal} @w`),
    { covers: 'access list', line: 'secrets access list @w', records: ['describe @w'], store },
    { covers: 'access list', line: 'secrets access list @', records: ['list @'], store },
    {
      ...{
        covers: 'access check',
        line: `secrets access check ${principal} @w`,
        records: ['describe @w'],
        store,
      },
      // Whom every policy denies.
      exit: principal === 'user:nobody' ? 1 : 0,
    },
    changing(
      'revoke',
      `secrets access revoke ${principal} @w --dry-run && secrets access revoke ${principal} @w`,
    ),
  ];
}

export const LINES: readonly Line[] = [
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
  ...accessLines('vault', 'user:alice'),
  ...accessLines('aws', 'user:nobody'),
  // Vault's policies name a path, whatever may be there.
  {
    covers: 'access policy',
    line: 'secrets access policy --for exec @w',
    records: ['describe @w'],
    store: 'aws',
  },
  { covers: 'stores rekey', line: 'secrets stores rekey', records: ['rekey @'], store: 'local' },
];
