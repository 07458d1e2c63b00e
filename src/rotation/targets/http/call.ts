/** One HTTP call that carries a credential, as the settings describe it. */
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import { exchange } from '../../../platform/net/exchange.ts';
import { fill, fillJson, type Sources } from '../template.ts';
import type { HttpCall } from './settings.ts';

/**
 * Sends the call and returns the status. The response body is not read, because it may repeat the credential.
 * @param changes whether the outcome is unknown if the response is lost
 * @throws SecretsError Unavailable, Invalid for a credential that doesn't fit into its placeholder
 */
export function send(
  call: HttpCall,
  sources: Sources,
  ca: string | undefined,
  changes: boolean,
  signal: AbortSignal,
): Promise<number> {
  const url = fill(call.url, sources, urlPart);
  const method = call.method ?? (changes ? 'POST' : 'GET');
  const body =
    call.body === undefined ? undefined : Buffer.from(JSON.stringify(fillJson(call.body, sources)));
  const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  for (const [name, template] of Object.entries(call.headers ?? {}))
    headers[name.toLowerCase()] = headerValue(name, fill(template, sources));
  if (call.basic !== undefined) headers['authorization'] = basic(call.basic, sources);
  return exchange(url, method, headers, body, ca, changes ? IN_DOUBT : '', signal).then(
    ({ status }) => status,
  );
}

/**
 * Escaped, so that it stays in its segment; a dot segment would change the path even when escaped (WHATWG URL, path
 * state).
 */
function urlPart(text: string): string {
  if (text !== '.' && text !== '..') return encodeURIComponent(text);
  throw new SecretsError('Invalid', 'the value is a dot segment, which a URL can’t hold');
}

/** RFC 7617: a colon would end the user name. */
function basic({ username, password }: { username: string; password: string }, sources: Sources): string {
  const user = fill(username, sources);
  if (user.includes(':')) throw new SecretsError('Invalid', 'a user name with a colon can’t be sent');
  return `Basic ${Buffer.from(`${user}:${fill(password, sources)}`).toString('base64')}`;
}

function headerValue(name: string, value: string): string {
  if (/^[\t -~]*$/.test(value)) return value;
  throw new SecretsError('Invalid', `the value can’t be sent in the header ${name}`, {
    hint: 'headers accept only printable ASCII; generate such a value',
  });
}
