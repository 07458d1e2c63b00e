/**
 * Recognises the form of a text. A text with signs of a structure is never taken for a plain password: replacing all
 * of it would destroy its other parts.
 */
import { SecretsError, toSecretsError } from '../errors.ts';
import { looksLikeConninfo, readConninfo } from './conninfo.ts';
import { looksLikeKeywords, readKeywords } from './keywords.ts';
import { type CredentialText, notUnderstood } from './text.ts';
import { looksLikeUrl, readUrl } from './url.ts';

/** A text that is the secret itself: a password, a token, or a key in PEM. */
export interface PlainText {
  readonly title: string;
  readonly password: string;
  /** A line break at the end, as files and `echo` leave it; kept, but not part of the password. */
  readonly ending: string;
  /** A document with `-----BEGIN …` and `-----END …` lines (RFC 7468). */
  readonly pem: boolean;
}

export type TextForm = CredentialText | PlainText;

/** Whether the secret is only part of the text, and the other parts must stay. */
export function isStructured(form: TextForm): form is CredentialText {
  return 'replace' in form;
}

/**
 * Reads a text that has exactly one of the known forms.
 * @throws SecretsError Invalid if it has none of them, or several. The message never quotes the text
 */
export function readText(text: string): TextForm {
  const [, body = '', ending = ''] = /^([^]*?)(\r?\n?)$/.exec(text) ?? [];
  if (/^\s*-----BEGIN [^\n]*-----\r?\n[^]*-----END [^\n]*-----\s*$/.test(text))
    return { title: 'a PEM document', password: text, ending: '', pem: true };
  if (looksLikeUrl(body)) return withEnding(readUrl(body), ending);
  const read = [
    ...(looksLikeConninfo(body) ? [readConninfo] : []),
    ...(looksLikeKeywords(body) ? [readKeywords] : []),
  ];
  const results = read.map((reader) => attempt(() => reader(body)));
  const [form, another] = results.flatMap((result) => ('form' in result ? [result.form] : []));
  if (another !== undefined)
    throw notUnderstood(another.title, 'can be read as two kinds of connection string');
  if (form !== undefined) return withEnding(form, ending);
  const why = structureIn(body);
  const [refused] = results.flatMap((result) => ('error' in result ? [result.error] : []));
  if (refused !== undefined) throw refused;
  if (why !== undefined) throw notUnderstood(why, 'that form is not known here');
  return { title: 'a plain value', password: body, ending, pem: false };
}

function attempt(read: () => CredentialText): { form: CredentialText } | { error: SecretsError } {
  try {
    return { form: read() };
  } catch (thrown) {
    return { error: toSecretsError(thrown) };
  }
}

function withEnding(form: CredentialText, ending: string): CredentialText {
  return ending === '' ? form : { ...form, replace: (change) => form.replace(change) + ending };
}

/** Signs of structure, and the structure they indicate. A random password has any of them about once in a million. */
const SIGNS: readonly (readonly [string, RegExp])[] = [
  ['a text of several lines', /[\r\n\u2028\u2029]/],
  ['a JSON document', /^\s*\{\s*(?:"[^"]*"\s*:|\w+\s*:\s)/],
  ['a JSON document', /^\s*\[\s*(?:"[^]*"|\{[^]*\}|\[[^]*\]|-?\d[\d.,\s]*)\s*\]\s*$/],
  ['an XML document', /^\s*<(?:\?xml|!|[A-Za-z][^]*(?:<\/|\/>))[^]*>\s*$/],
  [
    'a list of settings',
    /(?:^|[\s;,&?{(])["']?[\w-]*(?:password|passwd|pwd|username|user ?id|hostname|hostaddr|dbname|database|accountkey|accesskey|sharedaccesskey|data ?source|server|endpoint)["']?\s*[=:]\s*\S/i,
  ],
  ['a list of settings', /^\s*(?:user|host|uid|port|db)\s*=/i],
  ['a list of settings', /^\s*[A-Za-z][\w ]*=[^;]*(?:;\s*[A-Za-z][\w ]*=[^;]*){2,};?\s*$/],
  ['a line of .pgpass', /^[^:\s]+:(?:\d{1,5}|\*):[^:\s]+:[^:\s]+:\S+$/],
  ['a line of .netrc', /^\s*machine\s+\S+\s+login\s+\S+\s+password\s+\S/],
  ['a text with a URL in it', /(?<![\w+.-])[a-z][\w+.-]{2,}:\/\/[^\s/?#@:]*:[^\s/?#@]+@[\w.[(-]/i],
  ['a sign-in with a host', /^\/\/[^\s/?#@:]+:[^\s/?#@]+@[\w.[-]/],
  // Go's driver for MySQL, without the host.
  ['a sign-in with a database', /^[\w.+-]{2,}:[^\s@]+@\/[\w-]{2,}(?:\?\S*)?$/],
  [
    'a sign-in with a host',
    /^[\w.+-]+[:/][^\s@]+@(?:(?:tcp|unix)\(|\/\/[A-Za-z]|[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{2,5}$|(?::\d{2,5})?\/[\w-]*$))/,
  ],
];

function structureIn(text: string): string | undefined {
  return SIGNS.find(([, sign]) => sign.test(text))?.[0];
}

/**
 * A secret's text with a new secret, in the same form.
 * @param form the form of the text
 * @throws SecretsError Invalid if the form can't represent the new secret
 */
export function replaceText(form: TextForm, secret: string, username?: string): string {
  if (isStructured(form)) return form.replace({ password: secret, username });
  if (form.pem && !secret.startsWith('-----BEGIN '))
    throw new SecretsError('Invalid', 'the value is a PEM document, which a generated text can’t replace', {
      hint: 'let the policy generate a key, such as ssh-ed25519',
    });
  return secret + (secret.endsWith('\n') ? '' : form.ending);
}
