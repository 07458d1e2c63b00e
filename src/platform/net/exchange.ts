/** One HTTP request with a credential in it: TLS is verified, no redirect is followed, and the signal aborts it. */
import http from 'node:http';
import https from 'node:https';
import { SecretsError } from '../../core/errors.ts';
import { isUntrusted } from './authority.ts';
import { codeOf } from '../files.ts';

/** The status and header of an answer; its body isn't read. */
export interface Answer {
  readonly status: number;
  /** The Retry-After header, unparsed. */
  readonly retryAfter: string | undefined;
}

/**
 * Sends one request. TLS is verified, and no redirect is followed.
 * @param ca PEM of the authorities to trust instead of the system's
 * @param doubt added to the message if the request may have arrived
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
            hint: 'use the address it redirects to',
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

function late(host: string, doubt: string, cause: unknown): SecretsError {
  return new SecretsError('Unavailable', `${host} did not answer in time${doubt}`, {
    hint: 'try again, or raise --timeout',
    cause,
  });
}

function unreachable(host: string, thrown: unknown, doubt: string): SecretsError {
  const code = codeOf(thrown) ?? '';
  const fail = (message: string, hint: string): SecretsError =>
    new SecretsError('Unavailable', message, { hint, cause: thrown });
  if (isUntrusted(code))
    return fail(`the certificate of ${host} is not trusted (${code})`, 'name its authority as ca');
  const neverSent = code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  return fail(
    `cannot reach ${host} (${code || 'broken connection'})${neverSent ? '' : doubt}`,
    'check the URL',
  );
}
