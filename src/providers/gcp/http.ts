/**
 * HTTP for everything that goes to Google: the API over REST, and the sign-in library's own requests. TLS is always
 * verified, an answer has a largest size, and a request ends with the deadline of the call it is made for.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../files.ts';
import { Fault } from './errors.ts';

/** Longest answer read, in bytes: a page of 250 secrets with all the annotations that Google allows is 6 MiB. */
const MAX_ANSWER = 16 * 1024 * 1024;

/** The signal of the provider's call that is under way; libraries between it and the socket don't pass it on. */
const deadline = new AsyncLocalStorage<AbortSignal>();

export function withDeadline<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  // Many calls share the command's one signal; the warning about leaks would be wrong.
  setMaxListeners(0, signal);
  return deadline.run(signal, work);
}

export function isLoopback(url: URL): boolean {
  return /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
}

/** Link-local addresses and Google's name for them: metadata servers, which have no TLS. */
function isMetadata(url: URL): boolean {
  return /^(169\.254(\.\d+){2}|metadata\.google\.internal)$/.test(url.hostname);
}

/** @throws SecretsError Usage unless it is https, or http on loopback */
export function checkUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url))) return url;
  throw new SecretsError('Usage', `${what} must be an https URL`, {
    hint: 'plain http is for loopback addresses only',
  });
}

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

export class Http {
  readonly #https: https.Agent;
  readonly #http = new http.Agent({ keepAlive: true });

  /** @param ca PEM of the authority to believe in place of the system's */
  constructor(ca: string | undefined) {
    this.#https = new https.Agent({ keepAlive: true, maxSockets: 16, ...(ca !== undefined && { ca }) });
  }

  /** As the global `fetch`, without redirects. Rejects with a Fault. */
  readonly fetch: Fetch = async (target, init = {}) => {
    const url = new URL(target);
    if (url.protocol !== 'https:' && !isLoopback(url) && !isMetadata(url))
      throw new SecretsError('Usage', `will not send a credential to ${url.host} over plain http`);
    const headers = Object.fromEntries(new Headers(init.headers));
    const body = init.body === undefined || init.body === null ? undefined : await bytesOf(init.body);
    const signals = [deadline.getStore(), init.signal].filter((signal) => signal instanceof AbortSignal);
    return this.#send(url, init.method ?? 'GET', headers, body, signals);
  };

  #send(
    url: URL,
    method: string,
    headers: Record<string, string>,
    body: Buffer | undefined,
    signals: AbortSignal[],
  ): Promise<Response> {
    const secure = url.protocol === 'https:';
    const { request } = secure ? https : http;
    return new Promise((resolve, reject) => {
      const fail = (thrown: unknown): void => {
        const code = codeOf(thrown);
        reject(
          thrown instanceof Fault
            ? thrown
            : new Fault({ system: code ?? 'broken connection', cause: thrown }),
        );
      };
      const sent = request(
        url,
        {
          method,
          agent: secure ? this.#https : this.#http,
          signal: AbortSignal.any(signals),
          headers: { ...headers, ...(body !== undefined && { 'content-length': String(body.length) }) },
        },
        (answer) => {
          const pieces: Buffer[] = [];
          let size = 0;
          answer.on('data', (piece: Buffer) => {
            size += piece.length;
            if (size <= MAX_ANSWER) pieces.push(piece);
            else answer.destroy(new Fault({ system: 'the answer is too long', permanent: true }));
          });
          answer.on('error', fail);
          answer.on('end', () => {
            const status = answer.statusCode ?? 502;
            const bodiless = status === 204 || status === 304;
            const kept = new Headers();
            for (const name of ['content-type', 'retry-after'])
              if (typeof answer.headers[name] === 'string') kept.set(name, answer.headers[name]);
            const whole = bodiless ? null : new Uint8Array(Buffer.concat(pieces));
            resolve(new Response(whole, { status: status < 200 ? 502 : status, headers: kept }));
          });
        },
      );
      sent.on('error', fail);
      sent.end(body);
    });
  }

  close(): void {
    this.#https.destroy();
    this.#http.destroy();
  }
}

async function bytesOf(body: NonNullable<RequestInit['body']>): Promise<Buffer> {
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(await new Response(body).arrayBuffer());
}
