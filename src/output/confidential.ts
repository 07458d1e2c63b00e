/**
 * What must not stand in a message, though servers, SDKs and the system repeat what they were given: the values that
 * this process has read or written, its credentials, and the content of a variable that should hold a path.
 */
import type { Masker } from '../core/redactor.ts';
import type { Provider, SecretWrite } from '../providers/provider.ts';
import type { World } from '../world.ts';

const MASK = '***';
/** Shorter ones would take half of any message away. */
const MIN_BYTES = 4;
/** A credential is longer; a variable of such a name may hold `true`. */
const MIN_CREDENTIAL = 8;
/** The newest values, which messages are about, and how much of them: what is held bounds memory, and the masker. */
const MOST_VALUES = 1000;
const MOST_TOTAL = 262_144;
/** Larger values are looked for by their beginning. */
const MOST_BYTES = 8192;

const SECRET_NAME =
  /(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|ACCESS_KEY|PRIVATE_?KEY|HEADERS|SESSION)$/i;
const PATH_NAME = /(_FILE|_PATH|_CREDENTIALS|_CACERT|_CAPATH|_CLIENT_CERT|_CLIENT_KEY|_BUNDLE|_OVERRIDE)$/i;

const values = new Set<Uint8Array>();
let total = 0;
/** Looks for every spelling; made when an error is about to be shown. */
let masker: Masker | undefined;

/** A value that no message may hold from here on. */
export function keepOut(value: Uint8Array): void {
  if (value.length < MIN_BYTES) return;
  // A copy: a part of a buffer keeps all of it.
  const kept = value.length > MOST_BYTES ? Buffer.from(value.subarray(0, MOST_BYTES)) : value;
  if (values.has(kept)) return;
  values.add(kept);
  total += kept.length;
  masker = undefined;
  for (const oldest of values) {
    if (values.size <= MOST_VALUES && total <= MOST_TOTAL) break;
    values.delete(oldest);
    total -= oldest.length;
  }
}

/** Keeps what is read from and written to a store out of messages. */
export function keepingOut(provider: Provider): Provider {
  const { get, put } = provider;
  const noted: Pick<Provider, 'get' | 'put'> = {
    get: async (requests, options) => {
      const answers = await get.call(provider, requests, options);
      for (const answer of answers) if (answer.ok) keepOut(answer.secret.value);
      return answers;
    },
    put: (name, write: SecretWrite, options) => {
      keepOut(write.value);
      return put.call(provider, name, write, options);
    },
  };
  return Object.assign(provider, noted);
}

/** Makes `clean` know every spelling. Loads the redactor, so only where something is to be shown. */
export async function learnSpellings({ env }: Pick<World, 'env'>): Promise<void> {
  const known = [...values, ...credentials(env).map((text) => Buffer.from(text))];
  // Most errors come before there is anything to hide.
  if (known.length === 0) return;
  const { Masker: Redactor } = await import('../core/redactor.ts');
  masker = new Redactor(known);
}

/** A message without what must not stand in it. */
export function clean(text: string, { env }: Pick<World, 'env'>): string {
  const named = namePaths(text, env);
  if (masker !== undefined) {
    const stream = masker.stream();
    return Buffer.concat([stream.write(Buffer.from(named)), stream.end()]).toString();
  }
  let shown = named;
  const known = [...Array.from(values, (value) => Buffer.from(value).toString()), ...credentials(env)];
  for (const value of known)
    for (const form of formsOf(value)) if (shown.includes(form)) shown = shown.replaceAll(form, MASK);
  return shown;
}

/** The usual ones, for lines that can't wait until the redactor is loaded. */
function formsOf(text: string): readonly string[] {
  const trimmed = text.trimEnd();
  const uri = /\p{Cs}/u.test(trimmed) ? trimmed : encodeURIComponent(trimmed);
  return [trimmed, JSON.stringify(trimmed).slice(1, -1), uri, Buffer.from(text).toString('base64')].filter(
    ({ length }) => length >= MIN_BYTES,
  );
}

function credentials(env: World['env']): readonly string[] {
  return Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && value.length >= MIN_CREDENTIAL && SECRET_NAME.test(name) && !isReference(value)
      ? [value]
      : [],
  );
}

/** `--resolve-env` takes references from variables of any name; they are no secret. */
function isReference(value: string): boolean {
  return /^[a-z][a-z0-9_-]*:\/\/[^:@\s]*$/i.test(value);
}

/** Puts the name of a variable in the place of its content. */
function namePaths(text: string, env: World['env']): string {
  let shown = text;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value.length < MIN_BYTES || !PATH_NAME.test(name)) continue;
    shown = shown.replaceAll(value, () => `$${name}`);
    // An error is one line: what follows in the variable is not there.
    const [first = ''] = value.split('\n', 1);
    if (first !== value && first.length >= MIN_CREDENTIAL) shown = shown.replaceAll(first, () => `$${name}`);
  }
  return shown;
}
