/** One HTTP request with a credential in it: TLS verified, no redirect followed, ended by the signal. */
import http from 'node:http';
import https from 'node:https';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../files.ts';
import { IN_DOUBT } from './authority.ts';
import { fill, fillJson, type Sources } from '../../rotation/targets/template.ts';
import type { HttpCall } from '../../rotation/targets/http/settings.ts';

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

/** What is known of an answer: its body is not read. */
export interface Answer {
  readonly status: number;
  /** The header Retry-After, as it came. */
  readonly retryAfter: string | undefined;
}

/**
 * One request and the status of its answer. TLS is verified, no redirect is followed.
 * @param ca PEM of the authorities to believe in place of the system's
 * @param doubt what a message says after a request that may have arrived
 * @throws SecretsError Unavailable
 */
export function exchange(
  url: string,
  method: string,
  headers: Record<string, string>,
  body: Buffer | undefined,
  ca: string | undefined,
  doubt: string,
  signal: AbortSignal,
): Promise<Answer> {
  headers['content-length'] = String(body?.length ?? 0);
  const { host, protocol } = new URL(url);
  const secure = protocol === 'https:';
  const agent = secure ? new https.Agent({ ...(ca !== undefined && { ca }) }) : new http.Agent();
  if (signal.aborted) return Promise.reject(late(host, '', signal.reason));
  return new Promise<Answer>((resolve, reject) => {
    const request = (secure ? https : http).request(url, { method, headers, agent, signal }, (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      if (status >= 300 && status < 400)
        reject(
          new SecretsError('Unavailable', `${host} redirects (status ${status}), which is not followed`, {
            hint: 'use the address that it leads to',
          }),
        );
      else resolve({ status, retryAfter: response.headers['retry-after'] });
    });
    request.on('error', (thrown) =>
      reject(signal.aborted ? late(host, doubt, thrown) : unreachable(host, thrown, doubt)),
    );
    request.end(body);
  }).finally(() => agent.destroy());
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

function late(host: string, doubt: string, cause: unknown): SecretsError {
  return new SecretsError('Unavailable', `${host} did not answer in time${doubt}`, {
    hint: 'try again, or allow more with --timeout',
    cause,
  });
}

function unreachable(host: string, thrown: unknown, doubt: string): SecretsError {
  const code = codeOf(thrown) ?? '';
  const fail = (message: string, hint: string): SecretsError =>
    new SecretsError('Unavailable', message, { hint, cause: thrown });
  if (/CERT|SIGN|ISSUER|ALTNAME/.test(code))
    return fail(`the certificate of ${host} is not trusted (${code})`, 'name its authority as ca');
  const neverSent = code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  return fail(
    `cannot reach ${host} (${code || 'broken connection'})${neverSent ? '' : doubt}`,
    'check the URL',
  );
}
