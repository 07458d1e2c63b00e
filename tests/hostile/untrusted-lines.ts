/** The commands that are run in front of each secrets.yaml that nobody has trusted. */
import { sized, startOf } from '../size.ts';

/** Every command that could touch a store or run a program; what is asked of each is below. */
const ASKED = (ref: string): readonly string[] => [
  `get ${ref}`,
  `put ${ref} <<< value`,
  `copy local://own ${ref}`,
  `import - ${ref} <<< A=b`,
  `exec -e X=${ref} -- node -e 0`,
  'exec -- bash -c true',
  'env',
  'stores',
  'completion names',
  'trust --dry-run',
  'trust',
];
/** The others: none of them acts on the file either. */
const OTHERS = (ref: string): readonly string[] => [
  `get ${ref} --metadata`,
  `history ${ref}`,
  `delete ${ref} --dry-run`,
  `restore ${ref}`,
  `purge ${ref} --yes`,
  `list ${ref.includes('://') ? ref.replace(/a$/, '') : ''}`,
  'list --all-stores',
  `diff local://own ${ref}`,
  `env --from ${ref}`,
  'stores --check',
  'doctor',
  'rotate --due',
  'rotate status',
  'init',
];
/** Of the others, each case of a small run takes some, by turns. */
const SHARE = sized(10, 1);
export const LINES = (ref: string, turn: number): readonly string[] => [
  ...OTHERS(ref).filter((_, index) => (index + turn) % SHARE === startOf(SHARE)),
  ...ASKED(ref),
];
