/** Random values without bias: node:crypto's randomInt rejects what would not divide evenly. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { SecretsError } from './errors.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';
/** Printable ASCII that is neither a letter, a digit nor a space. */
const SYMBOLS = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';

/** Alphabets by name; a list of several is used with at least one character of each. */
const ALPHABETS: Readonly<Record<string, readonly string[]>> = {
  alnum: [LOWER, UPPER, DIGITS],
  alpha: [LOWER, UPPER],
  lower: [LOWER],
  upper: [UPPER],
  digits: [DIGITS],
  ascii: [LOWER, UPPER, DIGITS, SYMBOLS],
  // RFC 3986 §2.3: unreserved, needs no escaping in any part of a URL.
  urlsafe: [LOWER, UPPER, DIGITS, '-._~'],
};
const ENCODINGS = ['hex', 'base64', 'base64url'] as const;
const MAX_LENGTH = 4096;

export interface Generated {
  readonly value: string;
  /** Shannon entropy of the choice, in bits, rounded down. */
  readonly bits: number;
}

/**
 * Makes a random value by a spec: `alnum:32`, `hex:16` (bytes), `uuid`.
 * @throws SecretsError Usage for a spec that is none
 */
export function generate(spec: string): Generated {
  const [, kind = '', digits] = /^([a-z0-9]+)(?::(\d{1,5}))?$/.exec(spec) ?? [];
  const length = Number(digits ?? 32);
  if (kind === 'uuid' && digits === undefined) return { value: randomUUID(), bits: 122 };
  const known = Object.hasOwn(ALPHABETS, kind) || (ENCODINGS as readonly string[]).includes(kind);
  if (!known || length < 1 || length > MAX_LENGTH) {
    throw new SecretsError('Usage', `${JSON.stringify(spec)} is not a spec for a random value`, {
      hint: `write ALPHABET:LENGTH (1 to ${MAX_LENGTH}) with ${[...Object.keys(ALPHABETS), ...ENCODINGS].join(', ')}, or uuid`,
    });
  }
  const classes = ALPHABETS[kind];
  if (classes === undefined) {
    return { value: randomBytes(length).toString(kind as (typeof ENCODINGS)[number]), bits: length * 8 };
  }
  return { value: fromClasses(classes, length), bits: Math.floor(entropy(classes, length)) };
}

/** Draws whole values until one holds every class: the accepted ones stay uniformly distributed. */
function fromClasses(classes: readonly string[], length: number): string {
  const alphabet = classes.join('');
  const needed = length >= classes.length ? classes : [];
  for (;;) {
    let value = '';
    for (let index = 0; index < length; index += 1) value += alphabet[randomInt(alphabet.length)];
    if (needed.every((characters) => [...value].some((char) => characters.includes(char)))) return value;
  }
}

/** log2 of how many values `fromClasses` can give: all, less those that miss a class (inclusion–exclusion). */
function entropy(classes: readonly string[], length: number): number {
  const size = classes.join('').length;
  if (length < classes.length) return length * Math.log2(size);
  let share = 0;
  for (let subset = 0; subset < 2 ** classes.length; subset += 1) {
    const left = classes.filter((_, index) => (subset & (1 << index)) !== 0);
    const kept = size - left.join('').length;
    share += (left.length % 2 === 0 ? 1 : -1) * (kept / size) ** length;
  }
  return length * Math.log2(size) + Math.log2(share);
}
