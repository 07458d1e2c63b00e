/**
 * The transport to Azure: wraps the SDK's own HTTP client so that a request ends with its call, only harmless requests
 * are repeated, and the SDK gets no response that it can't handle.
 *
 * The SDK's own retries would repeat a write whose response was lost, and so write twice. A response without a body, or
 * with an HTML page, makes it throw a TypeError, so such a response gets an empty JSON error here.
 */
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import {
  createDefaultHttpClient,
  createEmptyPipeline,
  type HttpClient,
  type Pipeline,
  type PipelineRequest,
  type PipelineResponse,
  proxyPolicy,
  setClientRequestIdPolicy,
  userAgentPolicy,
} from '@azure/core-rest-pipeline';
import { SecretsError } from '../../core/errors.ts';
import { readPinnedText } from '../../platform/pinned.ts';
import { sleep } from '../../core/waiting.ts';
import { version } from '../../core/version.ts';

const ATTEMPTS = 4;
/** The longest Retry-After that is honoured, in milliseconds. */
const LONGEST_WAIT = 20_000;
/** Longest response read, in bytes: a page has at most 25 entries of a few KB. */
const MAX_ANSWER = 8 * 1024 * 1024;
const AGAIN: ReadonlySet<number> = new Set([408, 500, 502, 503, 504]);

/** The code of a request that was stopped because nobody waits for it any more. */
export const STOPPED = 'ABORT_ERR';

/** Why the last request got no proper response. */
export interface Failure {
  readonly status?: number;
  /** The code of a system or TLS error. */
  readonly code?: string;
  /** The requested host. */
  readonly host: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

export interface TransportOptions {
  /** The only allowed origin; any if missing. */
  readonly origin?: string;
  /** More trusted authorities besides the system's, PEM. */
  readonly ca: string | undefined;
  readonly activity: Activity;
  /** Whether a successful response has the service's form; any JSON object is accepted if missing. */
  readonly isAnswer?: (request: PipelineRequest, path: string, body: JsonObject) => boolean;
  /** Whether repeating the request is harmless, even if it was carried out. */
  readonly isRepeatable: (request: PipelineRequest) => boolean;
  readonly debug: (message: string) => void;
}

/**
 * Tracks whether any call is in progress. msal, and the SDK from the second page on, pass no signal to their requests;
 * these end when the last call has ended.
 */
export class Activity {
  #calls = 0;
  #controller = new AbortController();

  /** Aborted when no call is in progress. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    try {
      return await work();
    } finally {
      this.#calls -= 1;
      if (this.#calls === 0) {
        this.#controller.abort();
        this.#controller = new AbortController();
      }
    }
  }
}

export class Transport implements HttpClient {
  /** The failure of the last request; `undefined` if it succeeded. */
  failure: Failure | undefined;
  /** The number of changing requests that may have reached the server. */
  changes = 0;
  /** The server's clock minus ours in the last response, in milliseconds. */
  clockSkew: number | undefined;
  readonly #options: TransportOptions;
  readonly #inner = createDefaultHttpClient();

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  async sendRequest(request: PipelineRequest): Promise<PipelineResponse> {
    const { origin, ca, activity, isRepeatable } = this.#options;
    const url = new URL(request.url);
    // The server chooses the link to the next page; the token must not follow it to another server.
    if (origin !== undefined && url.origin !== origin)
      throw new SecretsError('Unavailable', `the service redirects to another server: ${url.host}`);
    const given = request.abortSignal as AbortSignal | undefined;
    const signal = AbortSignal.any(given === undefined ? [activity.signal] : [activity.signal, given]);
    // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise turn verification off.
    const tls = { rejectUnauthorized: true, ...(ca !== undefined && trusting(ca)) };
    request.requestOverrides = { ...request.requestOverrides, ...tls };
    const changes = request.method !== 'GET' && request.headers.has('authorization');
    for (let attempt = 1; ; attempt += 1) {
      if (changes) this.changes += 1;
      let wait = 100 * 2 ** attempt * (0.5 + Math.random() / 2);
      try {
        const response = await this.#once(request, signal);
        const { status } = response;
        this.#options.debug(`${request.method} ${url.host}${url.pathname}: ${status}`);
        const repeat = status === 429 || (AGAIN.has(status) && isRepeatable(request));
        const asked = retryAfter(response);
        this.failure = AGAIN.has(status) || status === 429 ? { status, host: url.host } : undefined;
        if (!repeat || attempt === ATTEMPTS || (asked ?? 0) > LONGEST_WAIT)
          return this.#readable(request, response, url);
        wait = Math.max(asked ?? 0, wait);
      } catch (thrown) {
        if (signal.aborted) this.failure = { code: STOPPED, host: url.host };
        if (signal.aborted || thrown instanceof SecretsError) throw thrown;
        const code = (thrown as { code?: string }).code ?? 'no answer';
        this.#options.debug(`${request.method} ${url.host}${url.pathname}: ${code}`);
        this.failure = { code, host: url.host };
        if (changes && isUnsent(code)) this.changes -= 1;
        if (attempt === ATTEMPTS || !isRepeatable(request) || isLasting(code)) throw thrown;
      }
      signal.throwIfAborted();
      await sleep(wait, signal, true);
      signal.throwIfAborted();
    }
  }

  async #once(request: PipelineRequest, signal: AbortSignal): Promise<PipelineResponse> {
    const given = request.abortSignal;
    const tooLong = new AbortController();
    request.abortSignal = AbortSignal.any([signal, tooLong.signal]);
    request.streamResponseStatusCodes = new Set([Number.POSITIVE_INFINITY]);
    try {
      const response = await this.#inner.sendRequest(request);
      const { readableStreamBody: stream } = response;
      delete response.readableStreamBody;
      const date = Date.parse(response.headers.get('date') ?? '');
      if (!Number.isNaN(date)) this.clockSkew = date - Date.now();
      const pieces: Buffer[] = [];
      let length = 0;
      for await (const piece of stream ?? []) {
        length += piece.length;
        if (length > MAX_ANSWER) {
          tooLong.abort();
          const { host } = new URL(request.url);
          throw new SecretsError('Unavailable', `the response of ${host} does not end`);
        }
        pieces.push(piece as Buffer);
      }
      response.bodyAsText = Buffer.concat(pieces).toString('utf8');
      return response;
    } finally {
      if (given === undefined) delete request.abortSignal;
      else request.abortSignal = given;
    }
  }

  /**
   * The response, if the SDK can read it; a response without an error body gets an empty error in the service's form.
   */
  #readable(request: PipelineRequest, response: PipelineResponse, url: URL): PipelineResponse {
    const { isAnswer } = this.#options;
    const { status } = response;
    const body = parseObject(response.bodyAsText ?? '');
    if (status === 204) return response;
    if (status >= 400) {
      if (body !== undefined && (isAnswer === undefined || isServiceError(body))) return response;
      // A 404 without the service's own error can come from any server.
      if (isAnswer === undefined || status === 401 || status === 403 || status === 429 || status >= 500) {
        if (isAnswer === undefined) this.failure = { status, host: url.host };
        response.bodyAsText = '{"error":{"code":"","message":""}}';
        response.headers.set('content-type', 'application/json');
        return response;
      }
    } else if (body !== undefined && isAnswer?.(request, url.pathname, body) !== false) {
      return response;
    }
    this.failure = { status, host: url.host };
    throw new SecretsError(
      'Unavailable',
      `${url.host} returned a response that is not from Azure (status ${status})`,
      {
        hint: 'check for a proxy or portal in between',
      },
    );
  }
}

const contexts = new Map<string, SecureContext>();

/**
 * The options of a connection that trusts these authorities. Given `ca` alone, Node would parse all of them again for
 * each connection, which costs more than the request. The agent needs `ca` to keep connections of other trust apart.
 */
function trusting(ca: string): { ca: string; secureContext: SecureContext } {
  let secureContext = contexts.get(ca);
  if (secureContext === undefined) contexts.set(ca, (secureContext = createSecureContext({ ca })));
  return { ca, secureContext };
}

/**
 * The policies of a request. The SDK's default has more: retries and redirects, which are unwanted; decompression; and
 * a check for form data that makes Node load all of `fetch`, a tenth of the start-up time.
 */
export function makePipeline(): Pipeline {
  const pipeline = createEmptyPipeline();
  pipeline.addPolicy(proxyPolicy());
  pipeline.addPolicy(setClientRequestIdPolicy());
  pipeline.addPolicy(userAgentPolicy({ userAgentPrefix: `secrets/${version}` }));
  return pipeline;
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isServiceError({ error }: JsonObject): boolean {
  return isObject(error) && typeof error['code'] === 'string';
}

/** Whether a vault's successful response has the form of its operation. */
export function isVaultAnswer({ method }: PipelineRequest, path: string, body: JsonObject): boolean {
  const isItem = (item: unknown): boolean => isObject(item) && typeof item['id'] === 'string';
  if (method === 'GET' && /^\/(deleted)?secrets\/?$|\/versions$/.test(path))
    return Array.isArray(body['value']) && body['value'].every(isItem);
  const withValue = method === 'GET' && path.startsWith('/secrets/');
  return isItem(body) && (!withValue || typeof body['value'] === 'string');
}

/** The milliseconds to wait, according to the response. */
function retryAfter({ headers }: PipelineResponse): number | undefined {
  const exact = Number(headers.get('retry-after-ms') ?? headers.get('x-ms-retry-after-ms') ?? Number.NaN);
  if (exact >= 0) return exact;
  const text = headers.get('retry-after');
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** An error that the next attempt would meet too. */
function isLasting(code: string): boolean {
  return code === 'ENOTFOUND' || isCertificateError(code);
}

/** Whether the request definitely did not reach the server. */
export function isUnsent(code: string | undefined): boolean {
  return code === 'ECONNREFUSED' || code === 'EAI_AGAIN' || (code !== undefined && isLasting(code));
}

export function isCertificateError(code: string): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS_/.test(code);
}

/** The trusted authorities: the runtime's own and those of a file. @throws SecretsError Usage */
export function readAuthorities(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    return [...rootCertificates, readPinnedText(path)].join('\n');
  } catch (thrown) {
    if (thrown instanceof SecretsError) throw thrown;
    throw new SecretsError('Usage', `cannot read the CA certificate: ${path}`, { cause: thrown });
  }
}
