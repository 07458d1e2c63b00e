/**
 * HTTP for everything that goes to Google: the REST API, and the sign-in library's own requests. TLS is always
 * verified, responses have a maximum size, and a request ends at the deadline of its call.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import https from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../platform/files.ts';
import { AnswerTooLong, requestWhole, Stopped, type WholeAnswer } from '../../platform/net/transport.ts';
import { isLoopback, isProtected } from '../../platform/net/address.ts';
import { version } from '../../core/version.ts';
import { Fault } from './errors.ts';

/** Longest response read, in bytes: a page of 250 secrets with all the annotations that Google allows is 6 MiB. */
const MAX_ANSWER = 16 * 1024 * 1024;

/** The signal of the current provider call; the libraries between it and the socket don't pass it on. */
const deadline = new AsyncLocalStorage<AbortSignal>();

export function withDeadline<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return deadline.run(signal, work);
}

/** Metadata servers: link-local addresses and Google's name for them, which have no TLS. */
function isMetadata(url: URL): boolean {
  return /^(169\.254(\.\d+){2}|metadata\.google\.internal)$/.test(url.hostname);
}

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

type Env = Readonly<Record<string, string | undefined>>;

export class Http {
  readonly #direct = new https.Agent({ keepAlive: true, maxSockets: 16 });
  readonly #plain = new http.Agent({ keepAlive: true });
  readonly #ca: string | undefined;
  readonly #env: Env;
  #proxied: Promise<http.Agent> | undefined;

  /**
   * @param ca PEM of the authority that replaces the system's
   * @param env may contain HTTPS_PROXY and NO_PROXY
   */
  constructor(ca: string | undefined, env: Env) {
    this.#ca = ca;
    this.#env = env;
  }

  /** Like the global `fetch`, but doesn't follow redirects. Rejects with a Fault. */
  readonly fetch: Fetch = async (target, init = {}) => {
    const url = new URL(target);
    if (!isProtected(url) && !isMetadata(url))
      throw new SecretsError('Usage', `will not send a credential to ${url.host} over plain http`);
    const headers = Object.fromEntries(new Headers(init.headers));
    headers['user-agent'] ??= `secrets/${version}`;
    const body = init.body === undefined || init.body === null ? undefined : await bytesOf(init.body);
    const signals = [deadline.getStore(), init.signal].filter((signal) => signal instanceof AbortSignal);
    const agent = await this.#agentFor(url);
    return this.#send(url, agent, { method: init.method ?? 'GET', headers, body, signals });
  };

  async #agentFor(url: URL): Promise<http.Agent> {
    if (url.protocol !== 'https:') return this.#plain;
    const proxy = proxyFor(url, this.#env);
    if (proxy === undefined) return this.#direct;
    // One proxy agent for all hosts; NO_PROXY is checked for each request.
    this.#proxied ??= import('https-proxy-agent').then(
      ({ HttpsProxyAgent }) => new HttpsProxyAgent(proxy, { keepAlive: true, maxSockets: 16 }),
    );
    return this.#proxied;
  }

  async #send(url: URL, agent: http.Agent, { method, headers, body, signals }: Outgoing): Promise<Response> {
    const options = {
      ...urlToHttpOptions(url),
      method,
      agent,
      headers,
      ...(this.#ca !== undefined && { ca: this.#ca }),
    };
    try {
      return responseOf(await requestWhole(options, body, { maxAnswer: MAX_ANSWER, signals }));
    } catch (thrown) {
      throw faultOf(thrown);
    }
  }

  async close(): Promise<void> {
    this.#direct.destroy();
    this.#plain.destroy();
    (await this.#proxied?.catch(() => undefined))?.destroy();
  }
}

function responseOf({ status, headers, body }: WholeAnswer): Response {
  const kept = new Headers();
  for (const name of ['content-type', 'retry-after', 'metadata-flavor']) {
    const value = headers[name];
    if (typeof value === 'string') kept.set(name, value);
  }
  const whole = status === 204 || status === 304 ? null : new Uint8Array(body);
  return new Response(whole, { status: status < 200 ? 502 : status, headers: kept });
}

function faultOf(thrown: unknown): Fault {
  if (thrown instanceof AnswerTooLong)
    return new Fault({ system: 'the answer is too long', permanent: true });
  if (thrown instanceof Stopped) return new Fault({ system: 'stopped' });
  return new Fault({ system: codeOf(thrown) ?? 'broken connection', cause: thrown });
}

interface Outgoing {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer | undefined;
  readonly signals: AbortSignal[];
}

/**
 * The proxy for a host according to the environment, with curl's rules: NO_PROXY lists hosts, including their
 * subdomains.
 * @throws SecretsError Usage for a proxy that isn't a URL
 */
function proxyFor(url: URL, env: Env): string | undefined {
  const proxy = env['HTTPS_PROXY'] || env['https_proxy'] || '';
  if (proxy === '' || isLoopback(url.hostname)) return undefined;
  const past = (env['NO_PROXY'] || env['no_proxy'] || '')
    .split(/[\s,]+/)
    .map((host) => host.replace(/^\*?\./, ''));
  const { hostname } = url;
  if (
    past.some((host) => host === '*' || (host !== '' && (hostname === host || hostname.endsWith(`.${host}`))))
  )
    return undefined;
  if (!/^https?:$/.test(URL.canParse(proxy) ? new URL(proxy).protocol : ''))
    throw new SecretsError('Usage', 'HTTPS_PROXY is not an http or https URL');
  return proxy;
}

async function bytesOf(body: NonNullable<RequestInit['body']>): Promise<Buffer> {
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(await new Response(body).arrayBuffer());
}
