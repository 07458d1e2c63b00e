/**
 * Checks the connection options of a rotated secret, besides user, password and host. They have no effect here, but an
 * application that follows them would sign in differently from the verified sign-in.
 */
import { SecretsError } from '../../../core/errors.ts';
import { utf8 } from '../../../core/utf8.ts';
import type { Credential } from '../../target.ts';

/** Names without `-` and `_`, in lower case: libpq's, and those of other drivers. */
const TLS = ['sslmode', 'ssl', 'tls', 'usessl', 'requiressl', 'encrypt'];
/** These override `host`. https://www.postgresql.org/docs/current/libpq-connect.html */
const PLACES = ['hostaddr', 'service', 'servicefile'];
const OFF = ['disable', 'disabled', 'allow', 'false', '0', 'no', 'off'];

/**
 * @param secure whether TLS is used here
 * @throws SecretsError Invalid naming the option that contradicts the target
 */
export function checkOptions(credential: Credential, secure: boolean): void {
  for (const [name, value] of optionsOf(credential)) {
    const plain = name.toLowerCase().replaceAll(/[-_]/g, '');
    if (PLACES.includes(plain) && value !== '')
      throw new SecretsError('Invalid', `the secret names a place by ${name}, which its target does not`, {
        hint: 'leave it out of the secret, and name the host alone',
      });
    if (secure && TLS.includes(plain) && OFF.includes(value.toLowerCase()))
      throw new SecretsError('Invalid', `the secret switches TLS off, which its target does not (${name})`, {
        hint: `leave ${name} out of the secret, or have it ask for TLS`,
      });
  }
}

function optionsOf({ value, fields }: Credential): readonly (readonly [string, string])[] {
  if (fields === undefined) return optionsIn(utf8(value) ?? '');
  return Object.entries(fields).flatMap(([name, field]) => {
    const text = typeof field === 'object' ? '' : String(field);
    // In a JSON secret, a key of this name can mean anything: `service: payments`.
    return [...(/^service/i.test(name) ? [] : [[name, text] as const]), ...optionsIn(text)];
  });
}

/** The query of a URL, or `name=value` words. A plain password has no options. */
function optionsIn(text: string): readonly (readonly [string, string])[] {
  if (/^[a-z][\w+.:-]*:\/\//i.test(text))
    return [...new URLSearchParams(text.split('#', 1)[0]?.split('?').slice(1).join('?'))];
  if (!/^\s*[\w ]+=/.test(text)) return [];
  return [...text.matchAll(/([\w-]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s;]*))/g)].map(
    ([, name = '', quoted, bare = '']) => [name, quoted ?? bare],
  );
}
