/** Generates unbiased random values: node:crypto's randomInt rejects numbers that would skew the distribution. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { bitsOf, type GenerateOptions, type GenerateSpec, parseGenerate } from './kinds.ts';

export { bitsOf, type GenerateOptions, type GenerateSpec, parseGenerate, WORDS_IN_LIST } from './kinds.ts';

export interface Generated {
  /** The text; for a key pair, a JSON object of its parts. */
  readonly value: string;
  /** See `bitsOf`. */
  readonly bits: number;
  /** For a key pair: `private-key`, `public-key`, and for TLS `csr`. */
  readonly parts?: Readonly<Record<string, string>> | undefined;
}

/**
 * Generates a random value: `alnum:32`, `ascii:40,safe=url`, `hex:16` (bytes), `words:6`, `uuid`, `ssh-ed25519`,
 * `tls,names=example.com`. Libraries for words and key formats are loaded on demand.
 * @throws SecretsError Usage for an invalid spec
 */
export async function generate(spec: string | GenerateOptions | GenerateSpec): Promise<Generated> {
  const wanted = typeof spec === 'object' && isChecked(spec) ? spec : parseGenerate(spec);
  const bits = bitsOf(wanted);
  switch (wanted.kind) {
    case 'characters':
      return { value: fromClasses(wanted.classes, wanted.length), bits };
    case 'bytes':
      return { value: randomBytes(wanted.length).toString(wanted.encoding), bits };
    case 'uuid':
      return { value: randomUUID(), bits };
    case 'words': {
      const { wordList } = await import('./words.ts');
      const words = Array.from({ length: wanted.count }, () => wordList[randomInt(wordList.length)]);
      return { value: words.join(wanted.separator), bits };
    }
    case 'key': {
      const parts = await (await import('./keys.ts')).keyPair(wanted);
      const one = wanted.only === undefined ? undefined : parts[wanted.only];
      return one === undefined ? { value: JSON.stringify(parts), bits, parts } : { value: one, bits };
    }
  }
}

function isChecked(spec: GenerateOptions | GenerateSpec): spec is GenerateSpec {
  return ['classes', 'encoding', 'count', 'format'].some((name) => name in spec);
}

/** Draws whole values until one contains every class, so that accepted values are uniformly distributed. */
function fromClasses(classes: readonly string[], length: number): string {
  const alphabet = [...classes.join('')];
  const needed = length >= classes.length ? classes : [];
  for (;;) {
    let value = '';
    for (let index = 0; index < length; index += 1) value += alphabet[randomInt(alphabet.length)];
    if (needed.every((characters) => [...value].some((char) => characters.includes(char)))) return value;
  }
}
