/**
 * What messages must not contain, although servers, SDKs and the system repeat their input: values that this process
 * has read or written, its credentials, and the content of variables that should be paths.
 */
import { resolve } from 'node:path';
import type { Masker } from '../core/redaction/redactor.ts';
import { SecretsError } from '../core/errors.ts';
import { isUrlScheme, type Reference } from '../core/reference/reference.ts';
import { hideIssued, holdsCredential, looksLikeValue, NOT_SHOWN } from '../core/text/suspect.ts';
import type { World } from '../platform/world.ts';

const MASK = '***';
/** Masking shorter ones would remove half of any message. */
const MIN_BYTES = 4;
/** Credentials are longer; a variable with such a name may just be `true`. */
const MIN_CREDENTIAL = 8;
/**
 * Limits on the values that are remembered: messages are about the newest ones, and the values take memory and
 * masking time.
 */
const MOST_VALUES = 1000;
const MOST_TOTAL = 262_144;
/** Of larger values, only the start is searched for. */
const MOST_BYTES = 8192;

const SECRET_NAME =
  /(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|API_?KEY|ACCESS_KEY|PRIVATE_?KEY|HEADERS|SESSION)$/i;
const PATH_NAME = /(_FILE|_PATH|_CREDENTIALS|_CACERT|_CAPATH|_CLIENT_CERT|_CLIENT_KEY|_BUNDLE|_OVERRIDE)$/i;

const values = new Set<Uint8Array>();
let total = 0;
/**
 * Maskers search for every spelling and are created when something is about to be shown. Each has at least twice as
 * many values as the next, so that a new value between two lines doesn't require rebuilding a masker of all values.
 */
const maskers: { readonly masker: Masker; readonly known: readonly Uint8Array[] }[] = [];
/** Values that aren't in any masker yet. */
let news: Uint8Array[] = [];
const knownCredentials = new Set<string>();
const credentialBytes = new Set<Uint8Array>();
/** Creates maskers. Loaded only if there is something to hide: most runs show nothing. */
let Redactor: typeof Masker | undefined;

/** Keeps a value out of all messages from now on. */
export function keepOut(value: Uint8Array): void {
  if (value.length < MIN_BYTES) return;
  // A copy, because a slice keeps its whole buffer alive.
  const kept = value.length > MOST_BYTES ? Buffer.from(value.subarray(0, MOST_BYTES)) : value;
  if (values.has(kept)) return;
  values.add(kept);
  total += kept.length;
  news.push(kept);
  for (const oldest of values) {
    if (values.size <= MOST_VALUES && total <= MOST_TOTAL) break;
    values.delete(oldest);
    total -= oldest.length;
  }
  if (news.length > 2 * MOST_VALUES) news = news.filter(isHeld);
}

/** Forgets the values: what has read them is over, in a process that lives on. */
export function forgetValues(): void {
  values.clear();
  total = 0;
  maskers.length = 0;
  news = [...credentialBytes];
}

/** Whether the value is still remembered. */
function isHeld(value: Uint8Array): boolean {
  return values.has(value) || credentialBytes.has(value);
}

/** Input that was given instead of a name and looks like a value. */
const typed = new Set<string>();

/** Keeps a text of the command line out of messages and records, as long as no secret has that name. */
export function withhold(...texts: readonly string[]): void {
  for (const text of texts) if (text.length >= MIN_BYTES) typed.add(text);
}

/**
 * Handles references that look like values: a credential isn't sent to any store, where it would stay in the trail;
 * any other such text isn't repeated in messages.
 * @throws SecretsError Usage
 */
export function checkTyped(text: string, { store, name }: Reference): void {
  if (!looksLikeValue(text)) return;
  withhold(text, name);
  if (!holdsCredential(text) || (store !== undefined && !isUrlScheme(store))) return;
  throw new SecretsError('Usage', 'the reference looks like a credential', {
    hint: 'no store was asked for it; pipe values in through stdin, or write STORE://NAME for a name like this',
  });
}

/** A name or reference for an error message or the record of a failure. */
export function shownName(text: string): string {
  let shown = text;
  for (const one of typed) shown = shown.replaceAll(one, NOT_SHOWN);
  return hideIssued(shown);
}

/** Whether `clean` knows every spelling of what must be hidden, if anything. */
export function knowsSpellings({ env }: Pick<World, 'env'>): boolean {
  return Redactor !== undefined || (values.size === 0 && credentials(env).length === 0);
}

/** Makes `clean` know every spelling. Loads the redactor, so call it only if something will be shown. */
export async function learnSpellings(world: Pick<World, 'env'>): Promise<void> {
  // Most errors happen before there is anything to hide.
  if (!knowsSpellings(world)) useRedactor((await import('../core/redaction/redactor.ts')).Masker);
}

/** For callers that have loaded the redactor anyway. */
export function useRedactor(loaded: typeof Masker): void {
  Redactor = loaded;
}

/** Removes confidential parts from a message; only in their usual spellings before `learnSpellings`. */
export function clean(text: string, world: Pick<World, 'env'>): string {
  const named = shownName(nameVariables(text, world));
  if (Redactor !== undefined) {
    return maskersOf(Redactor, world.env).reduce((shown, masker) => masked(shown, masker), named);
  }
  let shown = named;
  const known = [...Array.from(values, (value) => Buffer.from(value).toString()), ...credentials(world.env)];
  for (const value of known)
    for (const form of formsOf(value)) if (shown.includes(form)) shown = shown.replaceAll(form, MASK);
  return shown;
}

function maskersOf(Redacting: typeof Masker, env: World['env']): readonly Masker[] {
  for (const text of credentials(env)) {
    if (knownCredentials.has(text)) continue;
    knownCredentials.add(text);
    const bytes = Buffer.from(text);
    credentialBytes.add(bytes);
    news.push(bytes);
  }
  let known = news.filter(isHeld);
  news = [];
  if (known.length > 0) {
    for (let last = maskers.at(-1); last !== undefined && last.known.length < 2 * known.length;) {
      known = [...last.known.filter(isHeld), ...known];
      maskers.pop();
      last = maskers.at(-1);
    }
    maskers.push({ masker: new Redacting(known), known });
  }
  return maskers.map(({ masker }) => masker);
}

/** Where a text was cut: by a server, a library or this program (`excerpt`). A quote may come before. */
const CUT = /(["'`]?(?:…|\.{3,}|\s?[[(<]truncated))/i;

/** Also masks the start of a value where the text was cut in the middle of it. */
function masked(text: string, masker: Masker): string {
  const parts = throughMasker(text, masker).split(CUT);
  const last = parts.length - 1;
  // The end of the whole text is masked normally.
  return parts.map((part, at) => (at === last || at % 2 === 1 ? part : throughMasker(part, masker))).join('');
}

function throughMasker(text: string, masker: Masker): string {
  const stream = masker.stream();
  return Buffer.concat([stream.write(Buffer.from(text)), stream.end()]).toString();
}

/** The usual spellings. */
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

/** `--resolve-env` takes references from variables of any name; they aren't secret. */
function isReference(value: string): boolean {
  return /^[a-z][a-z0-9_-]*:\/\/[^:@\s]*$/i.test(value);
}

/** Variables of this program, of the stores and their libraries. */
const OWN_NAME = /^(SECRETS|AWS|AZURE|GOOGLE|GCLOUD|CLOUDSDK|GCE|VAULT|CONJUR|OTEL)_|^CONJURRC$/;
/** Names and addresses that messages are about, unless an address contains a password. */
const SHOWN_NAME =
  /_(LOGIN|HOST_ID|ACCOUNT|ADDR|ADDRESS|URL|ENDPOINT\w*|HOST|REGION|ROLE|ROLE_ARN|USER|USERNAME|PROJECT|TENANT_ID|CLIENT_ID|NAMESPACE|SERVICE_ID)$/;
/** A text that any message may contain by coincidence: a region, a name, a number. */
const WORD = /^[\w.-]*$/;

/**
 * Replaces the content of variables with their names: variables that should be paths, and variables of this program
 * unless the content is a plain word. A profile name is replaced where a message mentions a profile.
 */
function nameVariables(text: string, { env }: Pick<World, 'env'>): string {
  let shown = text;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value.length < MIN_BYTES) continue;
    const isPath = PATH_NAME.test(name);
    const isOwn = OWN_NAME.test(name) && !(SHOWN_NAME.test(name) && !/[@?#\s]/.test(value));
    if (!isPath && !isOwn) continue;
    const forms = [...placesOf(value)];
    if (isPath || !WORD.test(value)) {
      // Errors are one line, so later lines of the variable don't appear.
      const [first = ''] = value.split('\n', 1);
      forms.push(value, ...(first.length >= MIN_CREDENTIAL ? [first] : []));
    }
    for (const form of forms) shown = shown.replaceAll(form, () => `$${name}`);
    if (WORD.test(value) && /_PROFILE$/.test(name)) {
      shown = shown.replaceAll(
        new RegExp(`(?<=\\bprofile\\b[^\\w]{1,3}|named ")${value.replaceAll('.', '\\.')}(?![\\w.-])`, 'g'),
        () => `$${name}`,
      );
    }
  }
  return shown;
}

/** The absolute path of a relative one. */
function placesOf(value: string): readonly string[] {
  if (value.startsWith('/') || value.includes('\0') || value.includes('\n')) return [];
  try {
    return [resolve(value)];
  } catch {
    // The working directory no longer exists.
    return [];
  }
}
