/** Which addresses data may be sent to: TLS except on this machine, and no credentials in configured URLs. */
import { SecretsError } from '../../core/errors.ts';

/** Loopback hosts: only this machine can listen there, so plain text is allowed. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}

/** Whether nobody can read the data in transit: https, or http that stays on this machine. */
export function isProtected({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}

/** @param what the URL is of, for the message @throws SecretsError Usage unless it is protected */
export function checkUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && isProtected(url)) return url;
  throw needsHttps(what);
}

export function needsHttps(what: string): SecretsError {
  return new SecretsError('Usage', `${what} must be an https URL`, {
    hint: 'plain http is for loopback addresses only',
  });
}

/** What is wrong with a receiver's URL; undefined if it may be used. */
export function urlProblem(
  url: string,
): { readonly what: 'none' | 'credentials' | 'plain'; readonly message: string } | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.hash !== '')
    return { what: 'none', message: 'is not an http URL' };
  if (parsed.username !== '' || parsed.password !== '')
    return { what: 'credentials', message: 'holds a user name or a password' };
  if (!isProtected(parsed))
    return { what: 'plain', message: 'must be https: plain http is for loopback addresses only' };
  return undefined;
}
