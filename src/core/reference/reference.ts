/**
 * References: the address of a secret, or of one of its keys.
 *
 *     <store>://<name>[?version=<id>|?stage=<stage>][#<key>]
 *
 * The store is optional; `payments/db#password` is looked up in the project's default store. Everything after the
 * store is percent-decoded once (RFC 3986 §2.1). `#/a/0/b` is a JSON Pointer (RFC 6901); `#a.b` is the key named
 * `a.b`.
 *
 * A name may start or end with a slash and contain two in a row, because some stores have such names; whether a store
 * does is up to its provider's `checkName`. `.` and `..` segments are rejected here for every store, because
 * somewhere along the way a path is built from them. Where a trailing / or * means a prefix, the last character is
 * written %2F or %2A.
 */
import { SecretsError } from '../errors.ts';
import { quoted } from '../text/suspect.ts';

/** A parsed reference. `parse(format(r))` returns `r`. */
export interface Reference {
  /** Name of the store; missing if the reference doesn't name one. */
  readonly store?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  /** A key's exact name, or a JSON Pointer if it starts with `/`. */
  readonly key?: string | undefined;
}

const STORE = /^[a-z][a-z0-9_-]{0,63}$/;
/** C0, DEL and C1 controls, and lone surrogates (which UTF-8 can't represent). */
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u;
/** Longest reference accepted, so that hostile input can't cost time. */
const MAX_LENGTH = 8192;

/** URL schemes that aren't store names, even if they look like one. */
const URL_SCHEMES =
  /^(https?|wss?|s?ftp|ssh|git|file|data|unix|tcp|udp|tls|postgres(ql)?|mysql|mariadb|mongodb|rediss?|amqps?|mqtts?|kafka|nats|smtps?|imaps?|ldaps?|jdbc|s3|gs|abfss?|memcached|sqlite|sqlserver|oracle|cockroachdb|clickhouse|elasticsearch|grpcs?|otlp|dns|docker|oci|npm|urn|mailto|socks[45]?h?)$/;

/** Whether a text that starts with this word and `://` is most likely a URL. */
export function isUrlScheme(word: string): boolean {
  return URL_SCHEMES.test(word);
}

/** Whether `text` is a valid store name: lower-case letters, digits, `-` and `_`, at most 64. */
export function isStoreName(text: string): boolean {
  return STORE.test(text);
}

/**
 * Parses a reference. Doesn't know native identifiers (such as ARNs); see the resolver.
 * @throws SecretsError Usage, naming the part that is wrong
 */
export function parseReference(text: string): Reference {
  if (text.length > MAX_LENGTH) {
    throw refuse(`${text.slice(0, 40)}…`, `is longer than ${MAX_LENGTH} characters`);
  }
  const scheme = text.indexOf('://');
  const store = scheme === -1 ? undefined : text.slice(0, scheme);
  if (store !== undefined && !isStoreName(store)) {
    throw refuse(text, 'the store before :// must be lower-case letters, digits, - or _');
  }
  let rest = scheme === -1 ? text : text.slice(scheme + 3);
  let key: string | undefined;
  const hash = rest.indexOf('#');
  if (hash !== -1) {
    key = decode(text, rest.slice(hash + 1));
    rest = rest.slice(0, hash);
    if (key === '') throw refuse(text, 'the key after # is empty');
    if (key.startsWith('/')) pointerTokens(key);
  }
  let query: string | undefined;
  const mark = rest.indexOf('?');
  if (mark !== -1) {
    query = rest.slice(mark + 1);
    rest = rest.slice(0, mark);
  }
  const name = decode(text, rest);
  checkSegments(text, name);
  return {
    ...(store !== undefined && { store }),
    name,
    ...selector(text, query),
    ...(key !== undefined && { key }),
  };
}

/** Formats a reference so that `parseReference` returns it. */
export function formatReference(reference: Reference): string {
  const store = reference.store === undefined ? '' : `${reference.store}://`;
  const query =
    reference.version !== undefined
      ? `?version=${encode(reference.version, /[%#&]/)}`
      : reference.stage !== undefined
        ? `?stage=${encode(reference.stage, /[%#&]/)}`
        : '';
  const key = reference.key === undefined ? '' : `#${encode(reference.key, /%/)}`;
  return `${store}${nameText(reference)}${query}${key}`;
}

/** Writes a name so that it isn't taken for a prefix, and a part of it isn't taken for a store. */
function nameText({ store, name }: Reference): string {
  const text = encode(name, /[%?#]/).replace(/\/$/, '%2F').replace(/\*$/, '%2A');
  return store === undefined ? text.replaceAll('://', '%3A//') : text;
}

/** A prefix without the star that marks it as one, where names have no slash: `PREFIX*` stands for `PREFIX`. */
export function withoutStar(prefix: string): string {
  return prefix.replace(/\*$/, '');
}

/** The tokens of a JSON Pointer (RFC 6901 §3). @throws SecretsError Usage */
export function pointerTokens(pointer: string): string[] {
  return pointer
    .slice(1)
    .split('/')
    .map((token) => {
      if (/~(?![01])/.test(token)) throw refuse(pointer, '~ in a JSON Pointer must be written ~0 (RFC 6901)');
      return token.replaceAll('~1', '/').replaceAll('~0', '~');
    });
}

function selector(text: string, query: string | undefined): Pick<Reference, 'version' | 'stage'> {
  if (query === undefined) return {};
  const match = /^(version|stage)=([^&]+)$/.exec(query);
  if (match === null) throw refuse(text, 'after ? comes either version=<id> or stage=<stage>');
  const value = decode(text, match[2] as string);
  return match[1] === 'version' ? { version: value } : { stage: value };
}

function decode(text: string, part: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(part);
  } catch {
    throw refuse(text, 'a % must start a valid percent-encoded UTF-8 byte; write %25 for a plain %');
  }
  if (FORBIDDEN.test(decoded)) throw refuse(text, 'control characters and lone surrogates are not allowed');
  return decoded;
}

function checkSegments(text: string, name: string): void {
  if (name === '') throw refuse(text, 'the name is empty');
  for (const segment of name.split('/')) {
    if (segment === '.' || segment === '..') throw refuse(text, 'a name has no . or .. segments');
  }
}

function encode(text: string, special: RegExp): string {
  return text.replace(new RegExp(special.source, 'g'), (char) => encodeURIComponent(char));
}

function refuse(text: string, why: string): SecretsError {
  // The input may contain control characters; the line that shows it must not.
  return new SecretsError('Usage', `${quoted(text, 200)} is not a reference: ${why}`);
}
