/** One HTTP call with a credential in it, as the settings describe it. */
import { IN_DOUBT, SecretsError } from '../../../core/errors.ts';
import { exchange } from '../../../platform/net/exchange.ts';
import { fill, fillJson, type Sources } from '../template.ts';
import type { HttpCall } from './settings.ts';

/**
 * Sends the call and gives its status. The answer's body is not read: it may repeat the credential.
 * @param changes whether a lost answer leaves a doubt
 * @throws SecretsError Unavailable, Invalid for a credential that does not fit into its place
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

/** Escaped, so that it stays in its segment; a dot segment would lead elsewhere even so (WHATWG URL, path state). */
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
  throw new SecretsError('Invalid', `the value does not fit into the header ${name}`, {
    hint: 'headers take printable ASCII alone; generate such a value',
  });
}
