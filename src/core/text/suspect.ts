/** Rules about texts: which look like secrets, and how much of what was typed may be shown again. Pure. */

/** Marks of credentials that are issued with one, and of private keys. */
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
/** A URL with a password in it. */
const URL_PASSWORD = /:\/\/[^/@\s:]*:[^/@\s]+@/;
const SECRET_NAME = /PASSW|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|(API|PRIVATE|ACCESS|SIGNING|ENCRYPTION)_?KEY/i;
/** Names that speak of a secret and hold where it is, or how it is used. */
const ABOUT_SECRET =
  /[_-](FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|NAME|ID|TTL|EXPIRY|TYPE|METHOD|LENGTH|HEADER|ISSUER|AUDIENCE)$/i;

/** Where in a text a credential of a known form, or the start of a private key, stands. */
export function findIssued(text: string): number | undefined {
  return ISSUED.exec(text)?.index;
}

/** A whole credential of a known form, with what belongs to it. */
const WHOLE_ISSUED = new RegExp(
  String.raw`-----BEGIN [A-Z ]*PRIVATE KEY[^]*|(?:${ISSUED.source.replace('|-----BEGIN [A-Z ]*PRIVATE KEY', '')})[\w.+/=-]*`,
  'g',
);
const WHOLE_URL_PASSWORD = /(:\/\/[^/@\s:]*:)[^/\s]*(?=@)/g;

/** A text without the credentials of known forms in it, and without the passwords of its URLs. */
export function hideIssued(text: string): string {
  return text.replace(WHOLE_ISSUED, '***').replace(WHOLE_URL_PASSWORD, '$1***');
}

/** Whether a text holds a credential of a known form, or a URL with a password. */
export function holdsCredential(text: string): boolean {
  return findIssued(text) !== undefined || URL_PASSWORD.test(text);
}

/** What names of secrets seldom hold and passwords often do. `rds!…` is how AWS names those that it makes. */
const ODD = /[\s!$^&*()[\]{}<>|\\;'"`~=,]/;
const ODD_AND_USUAL = /^[a-z]+!(?=[\w-]+$)|\*$/;

/**
 * Whether what stands in the place of a reference is more likely a value: a credential of a known form, random
 * characters, or such as names seldom have. A text that names a store is a reference.
 */
export function looksLikeValue(text: string): boolean {
  if (holdsCredential(text)) return true;
  // Colour codes come with what is copied from a terminal.
  const plain = text.replace(/\u001b\[[\d;]*[A-Za-z]/g, '');
  if (/^[a-z][a-z0-9_-]*:\/\//.test(plain)) return false;
  const [name = ''] = plain.split(/[?#]/, 1);
  return (
    ODD.test(name.replace(ODD_AND_USUAL, '')) || /^[0-9a-f]{32,}$/i.test(name) || looksRandom(name, 12, 2)
  );
}

/** A text in quotes for a message, or that it is not shown, and why. */
export function quoted(text: string, longest = 100): string {
  if (looksLikeValue(text) || text.includes('\n')) return NOT_SHOWN;
  return JSON.stringify(text.length > longest ? `${text.slice(0, longest)}…` : text);
}

/** Stands in a message for what was typed. */
export const NOT_SHOWN = '(not shown: it looks like a value)';

/** Whether a literal is, by its form or its variable's name, most likely a secret. */
export function looksSecret(name: string, value: string): boolean {
  if (settingLooksSecret(value)) return true;
  const named = SECRET_NAME.test(name) && !ABOUT_SECRET.test(name);
  return named && value.length >= 6 && !/^(true|false|\d+[a-z]?)$/.test(value);
}

/** Whether a store's setting is, by its form, most likely a secret; its name says nothing, since schemas name it. */
export function settingLooksSecret(value: string): boolean {
  return holdsCredential(value) || looksRandom(value);
}

/** Letters of both cases and digits, as mixed as an encoding of random bytes is, and not a path. */
function looksRandom(value: string, least = 24, times = 3): boolean {
  if (value.length < least || !/^[\w+/=-]+$/.test(value) || /^(\/|~\/|\.{1,2}\/)/.test(value)) return false;
  const classes: readonly number[] = [...value].map((char) =>
    /\d/.test(char) ? 0 : /[a-z]/.test(char) ? 1 : /[A-Z]/.test(char) ? 2 : 3,
  );
  if (![0, 1, 2].every((wanted) => classes.includes(wanted))) return false;
  const changes = classes.filter((one, index) => index > 0 && one !== classes[index - 1]).length;
  return changes * times >= value.length;
}
