/**
 * Rules about values. Values aren't kept: only a keyed hash, whose key is generated for this run and never leaves the
 * process, and the number of guesses that a value would take. Findings contain neither.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { ownObject } from '../document/secret.ts';
import { decodeUtf8 } from '../utf8.ts';
import type { Finding } from './finding.ts';
import { finding } from './rules.ts';

export interface ValuePlace {
  readonly store: string;
  readonly secret: string;
  /** A key of the secret; missing: the whole value. */
  readonly key?: string | undefined;
}

/** Shorter values are flags and numbers, which repeat for good reasons. */
const SHORTEST_COMPARED = 6;
/** Longer values can't be guessed, and estimating their strength takes long. */
const LONGEST_JUDGED = 72;
/** A text of this length with this many different characters is hard to guess; most generated values qualify. */
const [PLAINLY_LONG, PLAINLY_VARIED] = [28, 13];
/** A larger value, in bytes, is a file. */
const LARGEST_PARSED = 64 * 1024;
/** The most keys of a secret that are examined. */
const MOST_KEYS = 100;

/** Placeholders that people mean to replace later, and default passwords of products. */
const DEFAULTS: ReadonlySet<string> = new Set([
  'admin',
  'administrator',
  'changeit',
  'changeme',
  'change-me',
  'change_me',
  'default',
  'dummy',
  'example',
  'fixme',
  'guest',
  'letmein',
  'minioadmin',
  'mysecretpassword',
  'none',
  'null',
  'pass',
  'passw0rd',
  'password',
  'password1',
  'placeholder',
  'postgres',
  'qwerty',
  'replace-me',
  'replaceme',
  'root',
  'secret',
  'sa',
  'tbd',
  'temp',
  'test',
  'todo',
  'toor',
  'undefined',
  'welcome',
  'xxx',
  'yourpassword',
  'your-password',
  'your-secret-here',
  '12345678',
  '123456',
  '1234',
]);
const PLACEHOLDER =
  /^(<.{1,60}>|\$\{.{1,60}\}|\{\{.{1,60}\}\}|x{4,}|\*{4,}|(your|insert|enter)[-_ ].{1,60}(here|key|token|password|secret))$/i;

/** Whether a value is a known default or a placeholder. */
export function isDefault(text: string): boolean {
  const plain = text.trim();
  return DEFAULTS.has(plain.toLowerCase()) || PLACEHOLDER.test(plain);
}

/** Keys whose values are secret, in a secret that is a map. */
const SECRET_KEY = /pass|pwd|secret|token|(^|[-_.])key$|api[-_]?key|private|credential|pin$|salt/i;
/** Parts of a map that aren't secret by themselves. */
const PLAIN_KEY =
  /^(user(name)?|host(name)?|port|db(name)?|database|region|engine|scheme|account([-_]?id)?|access[-_]?key[-_]?id|client[-_]?id|key[-_]?id|name|email|url|encoding)$/i;

/** Decimal logarithm of the number of guesses for a text. */
export type Strength = (text: string) => number;

export class ValueRules {
  readonly #key = randomBytes(32);
  readonly #places = new Map<string, ValuePlace[]>();
  readonly #weak: Finding[] = [];
  readonly #strength: Strength;
  readonly #weakBelow: number;
  /** The number of values that were too long to judge. */
  unjudged = 0;

  constructor(strength: Strength, weakBelow: number) {
    this.#strength = strength;
    this.#weakBelow = weakBelow;
  }

  /** Examines one secret's value. */
  take(place: { readonly store: string; readonly secret: string }, value: Uint8Array): void {
    const map = value.length > LARGEST_PARSED ? undefined : ownObject(value);
    if (map === undefined) {
      this.#one(place, textOf(value), value, true);
      return;
    }
    const { keys } = map;
    for (const key of keys.slice(0, MOST_KEYS)) {
      const inner = map.member(key);
      if (inner?.kind !== 'string' && inner?.kind !== 'number') continue;
      const text = inner.kind === 'string' ? inner.text : map.sourceOf(inner);
      // If a store keeps a plain value under a single key, that key's value is the whole value.
      const whole = keys.length === 1 && key === 'value';
      if (!whole && PLAIN_KEY.test(key)) continue;
      this.#one(whole ? place : { ...place, key }, text, Buffer.from(text), whole || SECRET_KEY.test(key));
    }
  }

  #one(place: ValuePlace, text: string | undefined, bytes: Uint8Array, judged: boolean): void {
    if (bytes.length >= SHORTEST_COMPARED) {
      const hash = createHmac('sha256', this.#key).update(bytes).digest('base64');
      const places = this.#places.get(hash);
      if (places === undefined) this.#places.set(hash, [place]);
      else places.push(place);
    }
    if (!judged || text === undefined || text === '') return;
    const what = place.key === undefined ? 'its value' : `the value of its key ${place.key}`;
    const about = place.key === undefined ? [] : [place.key];
    const evidence = place.key === undefined ? {} : { key: place.key };
    if (isDefault(text)) {
      this.#weak.push(
        finding('default-value', place, `${what} is a well-known default or a placeholder`, evidence, {
          about,
        }),
      );
      return;
    }
    // For a certificate, a key or a document, length isn't a sign of weakness.
    const judgeable = credentialIn(text);
    if (judgeable === undefined) return;
    if (judgeable.length >= PLAINLY_LONG && new Set(judgeable).size >= PLAINLY_VARIED) return;
    if (judgeable.length > LONGEST_JUDGED) {
      this.unjudged += 1;
      return;
    }
    if (this.#strength(judgeable) >= this.#weakBelow) return;
    // Don't say how weak exactly, which would help readers of the report to guess.
    this.#weak.push(
      finding(
        'weak-value',
        place,
        `${what} would be guessed with fewer than 10^${this.#weakBelow} tries`,
        { ...evidence, threshold: this.#weakBelow },
        { about },
      ),
    );
  }

  findings(): readonly Finding[] {
    const same: Finding[] = [];
    for (const places of this.#places.values()) {
      if (places.length < 2) continue;
      const names = places.map(nameOf).toSorted();
      const [first] = places.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
      if (first === undefined) continue;
      const stores = new Set(places.map(({ store }) => store)).size;
      same.push(
        finding(
          'same-value',
          { store: first.store, secret: first.secret },
          `the same value is in ${names.length} places${stores > 1 ? ` of ${stores} stores` : ''}: ${names.slice(0, 5).join(', ')}` +
            (names.length > 5 ? ' and more' : ''),
          { places: names.slice(0, 50), placeCount: names.length, stores },
          { about: [first.key ?? ''] },
        ),
      );
    }
    return [...same, ...this.#weak];
  }
}

function nameOf({ store, secret, key }: ValuePlace): string {
  return `${store}://${secret}${key === undefined ? '' : `#${key}`}`;
}

function textOf(value: Uint8Array): string | undefined {
  if (value.length > LARGEST_PARSED) return undefined;
  try {
    return decodeUtf8(value);
  } catch {
    return undefined;
  }
}

/** The part of a text that an attacker would have to guess; undefined for non-passwords, such as a key in PEM. */
function credentialIn(text: string): string | undefined {
  const plain = text.trim();
  if (plain.includes('\n') || plain.startsWith('-----BEGIN')) return undefined;
  const url = /^[a-z][a-z0-9+.-]*:\/\/[^\s/]*$|^[a-z][a-z0-9+.-]*:\/\//i.test(plain);
  if (!url) return plain;
  const login = /^[a-z][a-z0-9+.-]*:\/\/[^/:@\s]*:([^/@\s]+)@/i.exec(plain);
  return login?.[1];
}
