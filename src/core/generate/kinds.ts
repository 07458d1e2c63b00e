/**
 * Parses and checks what `--generate SPEC` and a policy's `generate:` ask for: a text such as `ascii:40,safe=url`, or
 * the same as an object, `{ alphabet: ascii, length: 40, safe: [url] }`. Loads nothing, so that a configuration can
 * be checked without generating a value.
 */
import { SecretsError } from '../errors.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';
/** Printable ASCII except letters, digits and space. */
const SYMBOLS = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';

/** Alphabets by name. An alphabet of several classes is used with at least one character from each. */
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
export type Encoding = (typeof ENCODINGS)[number];

/** The symbols that are safe in each context; letters and digits always are. */
const SAFE_SYMBOLS: Readonly<Record<string, string>> = {
  url: '-._~',
  // No POSIX shell, zsh or fish treats these specially, even at the start of a word; a leading - would be an option.
  shell: '+,./:@_',
};

/** Kinds of key pairs by name: the values allowed in `ssh-`, `rsa`, `ec` and a TLS key's `key=`. */
const EC_CURVES: Readonly<Record<string, 'P-256' | 'P-384' | 'P-521'>> = {
  p256: 'P-256',
  p384: 'P-384',
  p521: 'P-521',
};
const RSA_BITS = [2048, 3072, 4096];

const MAX_LENGTH = 4096;
const MAX_WORDS = 128;
const MAX_CLASSES = 8;

export type KeyType =
  | { readonly type: 'rsa'; readonly bits: number }
  | { readonly type: 'ec'; readonly curve: 'P-256' | 'P-384' | 'P-521' }
  | { readonly type: 'ed25519' };

export type GenerateSpec =
  | { readonly kind: 'characters'; readonly classes: readonly string[]; readonly length: number }
  | { readonly kind: 'bytes'; readonly encoding: Encoding; readonly length: number }
  | { readonly kind: 'words'; readonly count: number; readonly separator: string }
  | { readonly kind: 'uuid' }
  | {
      readonly kind: 'key';
      readonly key: KeyType;
      /** `ssh`: OpenSSH's formats; `pem`: PKCS #8 and SPKI; `tls`: those plus a signing request. */
      readonly format: 'ssh' | 'pem' | 'tls';
      /** DNS names and IP addresses of the signing request. */
      readonly names: readonly string[];
      /** The one part to return, instead of a JSON object of all parts. */
      readonly only: string | undefined;
    };

/** The object form. `alphabet` is a name or the classes themselves; `kind` names anything that isn't an alphabet. */
export interface GenerateOptions {
  readonly alphabet?: string | readonly string[] | undefined;
  readonly kind?: string | undefined;
  readonly length?: number | string | undefined;
  readonly safe?: string | readonly string[] | undefined;
  readonly exclude?: string | undefined;
  readonly separator?: string | undefined;
  readonly names?: string | readonly string[] | undefined;
  readonly key?: string | undefined;
  readonly only?: string | undefined;
}

const OPTIONS = ['safe', 'separator', 'names', 'key', 'only', 'exclude'] as const;

/**
 * Checks a spec. A text is `KIND[:SIZE][,OPTION=VALUE]...`; lists in it are joined by `+`, and `exclude=` comes last,
 * because it takes all the remaining characters.
 * @throws SecretsError Usage
 */
export function parseGenerate(spec: string | GenerateOptions): GenerateSpec {
  if (typeof spec !== 'string') return fromOptions(spec, JSON.stringify(spec));
  const [, kind = '', length, more] = /^([a-z0-9-]+)(?::([a-z0-9]{1,5}))?(?:,(.*))?$/s.exec(spec) ?? [];
  const shown = JSON.stringify(spec);
  const options: Record<string, string> = {};
  let rest = more;
  while (rest !== undefined) {
    const [, name = '', afterName = ''] = /^([a-z]+)=(.*)$/s.exec(rest) ?? [];
    if (!(OPTIONS as readonly string[]).includes(name) || Object.hasOwn(options, name)) throw noSpec(shown);
    const end = name === 'exclude' ? -1 : afterName.indexOf(',');
    options[name] = end === -1 ? afterName : afterName.slice(0, end);
    rest = end === -1 ? undefined : afterName.slice(end + 1);
  }
  return fromOptions({ kind, length, ...options }, shown);
}

function fromOptions(options: GenerateOptions, shown: string): GenerateSpec {
  if (options.alphabet !== undefined && options.kind !== undefined) throw noSpec(shown);
  const kind = options.alphabet ?? options.kind ?? 'alnum';
  if (typeof kind !== 'string') return characters(kind, options, shown);
  if (Object.hasOwn(ALPHABETS, kind)) return characters(ALPHABETS[kind] ?? [], options, shown);
  const encoding = ENCODINGS.find((known) => known === kind);
  if (encoding !== undefined) {
    onlyWith(options, [], shown);
    return { kind: 'bytes', encoding, length: size(options, 32, MAX_LENGTH, shown) };
  }
  if (kind === 'words') {
    onlyWith(options, ['separator'], shown);
    const separator = options.separator ?? '-';
    return { kind, count: size(options, 6, MAX_WORDS, shown), separator };
  }
  if (kind === 'uuid' && options.length === undefined) {
    onlyWith(options, [], shown);
    return { kind };
  }
  return keyPair(kind, options, shown);
}

function characters(classes: readonly string[], options: GenerateOptions, shown: string): GenerateSpec {
  onlyWith(options, ['safe', 'exclude'], shown);
  const kept = list(options.safe).map((name) => {
    const symbols = Object.hasOwn(SAFE_SYMBOLS, name) ? SAFE_SYMBOLS[name] : undefined;
    if (symbols === undefined)
      throw usage(`${name} is nothing to be safe for`, `safe is ${either(SAFE_SYMBOLS)}`);
    return LOWER + UPPER + DIGITS + symbols;
  });
  const excluded = options.exclude ?? '';
  const seen = new Set<string>();
  const left = classes.map((chars) =>
    [...chars]
      .filter((char) => !excluded.includes(char) && kept.every((safe) => safe.includes(char)))
      // A character that is listed twice would be drawn twice as often.
      .filter((char) => !seen.has(char) && seen.add(char))
      .join(''),
  );
  const used = left.filter((chars) => chars !== '');
  if (used.length === 0) throw usage(`${shown} leaves no characters to draw from`);
  if (classes.length > MAX_CLASSES) throw usage(`an alphabet has at most ${MAX_CLASSES} classes`);
  if (/[\p{Cc}\p{Cs}]/u.test(used.join(''))) throw usage('an alphabet holds no control characters');
  const length = size(options, 32, MAX_LENGTH, shown);
  if (length >= used.length && shareWithAll(used, length) < 1e-4)
    throw usage(`${shown} can hardly hold every class`, 'make it longer, or its rare classes larger');
  return { kind: 'characters', classes: used, length };
}

/** The number of words in the list, as a constant so that the list's package is only loaded to draw from it. */
export const WORDS_IN_LIST = 7776;

/**
 * The `bits` that a generated value will have: Shannon entropy of the choice in bits, rounded down; for a key pair
 * its security strength (NIST SP 800-57 part 1 revision 5, table 2).
 */
export function bitsOf(spec: GenerateSpec): number {
  switch (spec.kind) {
    case 'characters': {
      const { classes, length } = spec;
      const all = length * Math.log2([...classes.join('')].length);
      // Not counting values that lack a class.
      return Math.floor(length < classes.length ? all : all + Math.log2(shareWithAll(classes, length)));
    }
    case 'bytes':
      return spec.length * 8;
    case 'words':
      return Math.floor(spec.count * Math.log2(WORDS_IN_LIST));
    case 'uuid':
      // RFC 9562 §5.4: six of the 128 bits are fixed.
      return 122;
    case 'key':
      return strength(spec.key);
  }
}

/** RSA keys between two rows of the table count as the lower one. */
function strength(key: KeyType): number {
  if (key.type === 'rsa') return key.bits < 3072 ? 112 : 128;
  return key.type === 'ed25519' ? 128 : { 'P-256': 128, 'P-384': 192, 'P-521': 256 }[key.curve];
}

/** The share of all values that contain at least one character of each class (inclusion–exclusion). */
function shareWithAll(classes: readonly string[], length: number): number {
  const sizes = classes.map((chars) => [...chars].length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let share = 0;
  for (let subset = 0; subset < 2 ** sizes.length; subset += 1) {
    const left = sizes.filter((_, index) => (subset & (1 << index)) !== 0);
    const missing = left.reduce((sum, size) => sum + size, 0);
    share += (left.length % 2 === 0 ? 1 : -1) * ((total - missing) / total) ** length;
  }
  return share;
}

function keyPair(kind: string, options: GenerateOptions, shown: string): GenerateSpec {
  const ssh = kind.startsWith('ssh-');
  const tls = kind === 'tls';
  onlyWith(options, tls ? ['names', 'key', 'only'] : ['only'], shown);
  const key = tls
    ? keyOf(options.key ?? 'ec-p256')
    : keyOf(joined(ssh ? kind.slice(4) : kind, options.length));
  if (key === undefined || (tls && options.length !== undefined)) throw noSpec(shown);
  const names = list(options.names);
  if (tls && names.length === 0) {
    throw usage('a signing request needs names', 'write tls,names=example.com+www.example.com');
  }
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined) throw usage(`${JSON.stringify(wrong)} is neither a DNS name nor an IP address`);
  const parts = ['private-key', 'public-key', ...(tls ? ['csr'] : [])];
  if (options.only !== undefined && !parts.includes(options.only)) {
    throw usage(`a key pair has no part ${JSON.stringify(options.only)}`, `only is ${parts.join(', ')}`);
  }
  return { kind: 'key', key, format: tls ? 'tls' : ssh ? 'ssh' : 'pem', names, only: options.only };
}

function joined(name: string, size: number | string | undefined): string {
  return size === undefined ? name : `${name}-${size}`;
}

/** `rsa`, `rsa-4096`, `ec-p384`, `ecdsa-p384` (OpenSSH's word), `ed25519`. */
function keyOf(name: string): KeyType | undefined {
  if (name === 'ed25519') return { type: 'ed25519' };
  const [, family, size] = /^(rsa|ec|ecdsa)(?:-([a-z0-9]+))?$/.exec(name) ?? [];
  if (family === 'rsa') {
    const bits = Number(size ?? 3072);
    return RSA_BITS.includes(bits) ? { type: 'rsa', bits } : undefined;
  }
  if (family === undefined) return undefined;
  const known = size ?? 'p256';
  const curve = Object.hasOwn(EC_CURVES, known) ? EC_CURVES[known] : undefined;
  return curve === undefined ? undefined : { type: 'ec', curve };
}

/** A DNS name (a leading `*.` is allowed) or an IP address. Only checks the characters; a CA checks the rest. */
function isName(name: string): boolean {
  if (name.includes(':')) return /^[0-9a-fA-F:.]{2,45}$/.test(name);
  const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
  return name.length <= 253 && new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*$`, 'i').test(name);
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? value.split('+').filter((part) => part !== '') : value;
}

function size(options: GenerateOptions, missing: number, max: number, shown: string): number {
  const text = String(options.length ?? missing);
  const length = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (length < 1 || length > max) throw noSpec(shown);
  return length;
}

/** An option that doesn't apply to a kind is a mistake, so don't ignore it. */
function onlyWith(options: GenerateOptions, wanted: readonly (keyof GenerateOptions)[], shown: string): void {
  const other = OPTIONS.find((name) => options[name] !== undefined && !wanted.includes(name));
  if (other !== undefined) throw usage(`${shown}: this kind of value has no option ${other}`);
}

function either(known: Readonly<Record<string, unknown>>): string {
  return Object.keys(known).join(' or ');
}

function usage(message: string, hint?: string): SecretsError {
  return new SecretsError('Usage', message, { hint });
}

function noSpec(shown: string): SecretsError {
  return usage(
    `${shown} is not a spec for a random value`,
    `write ALPHABET:LENGTH (1 to ${MAX_LENGTH}) with ${[...Object.keys(ALPHABETS), ...ENCODINGS].join(', ')}; ` +
      'words:6, uuid, ssh-ed25519, ssh-rsa:3072, ssh-ecdsa:p256, rsa:3072, ec:p256, ed25519, or tls,names=example.com',
  );
}
