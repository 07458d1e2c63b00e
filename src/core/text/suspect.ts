/** Heuristics for texts: which look like secrets, and how much of the user's input may be shown. Pure. */

/** Prefixes of issued credentials, and of private keys. */
const ISSUED = new RegExp(
  [
    String.raw`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`,
    String.raw`\bgh[pousr]_\w{20}|\bgithub_pat_\w{20}|\bglpat-[\w-]{16}`,
    String.raw`\bxox[abeprs]-[\w-]{8}`,
    String.raw`\b[sr]k_(?:live|test)_\w{8}|\bsk-[\w-]{20}`,
    String.raw`\bhv[sbr]\.\w{8}`,
    String.raw`\bAIza[\w-]{20}|\bya29\.[\w-]{8}`,
    String.raw`\beyJ[\w-]{10,}\.`,
    String.raw`\bnpm_\w{30}|\bpypi-\w{20}|\bSG\.[\w-]{16}\.|\bdop_v1_\w{20}`,
    'AGE-SECRET-KEY-1',
    '-----BEGIN [A-Z ]*PRIVATE KEY',
  ].join('|'),
);
/** A URL that contains a password. */
const URL_PASSWORD = /:\/\/[^/@\s:]*:[^/@\s]+@/;
const SECRET_NAME = /PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(API|PRIVATE|ACCESS|SIGNING|ENCRYPTION)_?KEY/i;
/** Names that mention a secret but contain its location or usage. */
const ABOUT_SECRET =
  /[_-](FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|NAME|ID|TTL|EXPIRY|TYPE|METHOD|LENGTH|HEADER|ISSUER|AUDIENCE)$/i;

/** The position in a text of a credential in a known format, or of a private key's start. */
export function findIssued(text: string): number | undefined {
  return ISSUED.exec(text)?.index;
}

/** A whole credential in a known format. */
const WHOLE_ISSUED = new RegExp(
  String.raw`-----BEGIN [A-Z ]*PRIVATE KEY[^]*|(?:${ISSUED.source.replace('|-----BEGIN [A-Z ]*PRIVATE KEY', '')})[\w.+/=-]*`,
  'g',
);
const WHOLE_URL_PASSWORD = /(:\/\/[^/@\s:]*:)[^/\s]*(?=@)/g;

/** The text without credentials in known formats and without the passwords of URLs. */
export function hideIssued(text: string): string {
  return text.replace(WHOLE_ISSUED, '***').replace(WHOLE_URL_PASSWORD, '$1***');
}

/** Whether a text contains a credential in a known format, or a URL with a password. */
export function holdsCredential(text: string): boolean {
  return findIssued(text) !== undefined || URL_PASSWORD.test(text);
}

/**
 * Characters that are rare in names of secrets but common in passwords. AWS names the secrets that it creates
 * `rds!…`.
 */
const ODD = /[\s!$^&*()[\]{}<>|\\;'"`~=,]/;
const ODD_AND_USUAL = /^[a-z]+!(?=[\w-]+$)|\*$/;

/**
 * Whether input in place of a reference is more likely a value: a credential in a known format, random characters, or
 * characters that are rare in names. A text that names a store is a reference.
 */
export function looksLikeValue(text: string): boolean {
  if (holdsCredential(text)) return true;
  // Text copied from a terminal may contain colour codes.
  const plain = text.replace(/\u001b\[[\d;]*[A-Za-z]/g, '');
  if (/^[a-z][a-z0-9_-]*:\/\//.test(plain)) return false;
  const [name = ''] = plain.split(/[?#]/, 1);
  return (
    ODD.test(name.replace(ODD_AND_USUAL, '')) || /^[0-9a-f]{32,}$/i.test(name) || looksRandom(name, 12, 2)
  );
}

/** A text in quotes for a message, or a note why it isn't shown. */
export function quoted(text: string, longest = 100): string {
  if (looksLikeValue(text) || text.includes('\n')) return NOT_SHOWN;
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}…` : text);
}

/** Replaces the user's input in a message. */
export const NOT_SHOWN = '(not shown: it looks like a value)';

/** Whether a literal is most likely a secret, judging by its format or its variable's name. */
export function looksSecret(name: string, value: string): boolean {
  if (settingLooksSecret(value)) return true;
  const named = SECRET_NAME.test(name) && !ABOUT_SECRET.test(name);
  return named && value.length >= 6 && !/^(true|false|\d+[a-z]?)$/.test(value);
}

/**
 * Whether a store's setting is most likely a secret, judging only by its format, because schemas determine its name.
 */
export function settingLooksSecret(value: string): boolean {
  return holdsCredential(value) || looksRandom(value);
}

/** Letters of both cases and digits, mixed like an encoding of random bytes, and not a path. */
function looksRandom(value: string, least = 24, times = 3): boolean {
  if (value.length < least || !/^[\w+/=-]+$/.test(value) || /^(\/|~\/|\.{1,2}\/)/.test(value)) return false;
  const classes: readonly number[] = [...value].map((char) =>
    /\d/.test(char) ? 0 : /[a-z]/.test(char) ? 1 : /[A-Z]/.test(char) ? 2 : 3,
  );
  if (![0, 1, 2].every((wanted) => classes.includes(wanted))) return false;
  const changes = classes.filter((one, index) => index > 0 && one !== classes[index - 1]).length;
  return changes * times >= value.length;
}
