/**
 * The transport to Conjur: node:https with keep-alive connections, custom authorities, an AbortSignal, and retries that
 * honour Retry-After. No maintained npm package implements Conjur's API; the platform's fetch needs another library for
 * custom authorities, and takes longer to load.
 */
import http from 'node:http';
import https from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { IN_DOUBT, SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../platform/files.ts';
import { isUntrusted } from '../../platform/net/authority.ts';
import { requestWhole, type WholeAnswer, withRetries } from '../../platform/net/transport.ts';
import { version } from '../../core/version.ts';

/** Longest response read, in bytes: a batch of large values. */
const MAX_ANSWER = 64 * 1024 * 1024;

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Relative to the server's own path, encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | string | undefined;
  readonly signal: AbortSignal;
  /** Whether repeating the call is harmless. */
  readonly repeatable: boolean;
}

export class Transport {
  readonly #base: URL;
  readonly #agent: http.Agent;

  constructor(url: string, ca: string | undefined) {
    this.#base = new URL(url);
    const options = { keepAlive: true, maxSockets: 16 };
    this.#agent =
      this.#base.protocol === 'https:'
        ? new https.Agent({ ...options, ...(ca !== undefined && { ca }) })
        : new http.Agent(options);
  }

  /**
   * Sends a call and retries where that is harmless: any call after 429 (rejected before it is processed) and after the
   * 409 of a policy load during another one; otherwise repeatable calls, after 5xx and broken connections.
   */
  send(call: Call): Promise<WholeAnswer> {
    const doubt = call.repeatable ? '' : IN_DOUBT;
    return withRetries(() => this.#once(call), {
      signal: call.signal,
      isPassing: ({ status }) =>
        status === 429 ||
        (status === 409 && call.method === 'PATCH') ||
        (call.repeatable && status >= 500 && status !== 501),
      repeatable: call.repeatable,
      doubt,
      unreachable: (thrown) => unreachable(thrown, doubt),
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #once({ method, path, headers, body, signal }: Call): Promise<WholeAnswer> {
    const { protocol, hostname, port } = urlToHttpOptions(this.#base);
    const options = {
      protocol,
      hostname,
      port,
      // Not through a URL, which would treat an encoded dot segment as a real one.
      path: this.#base.pathname.replace(/\/$/, '') + path,
      method,
      agent: this.#agent,
      headers: { 'User-Agent': `secrets/${version}`, ...headers },
    };
    const bytes = body === undefined ? undefined : Buffer.from(body as Uint8Array);
    return requestWhole(options, bytes, { maxAnswer: MAX_ANSWER, signals: [signal] });
  }
}

function unreachable(thrown: unknown, doubt: string): SecretsError {
  const code = codeOf(thrown) ?? '';
  if (isUntrusted(code))
    return new SecretsError('Unavailable', `the server’s certificate is not trusted (${code})`, {
      hint: 'name its authority in CONJUR_CERT_FILE or the store’s ca setting',
      cause: thrown,
    });
  const unknown = code === 'ECONNREFUSED' || code === 'ENOTFOUND' ? '' : doubt;
  return new SecretsError(
    'Unavailable',
    `cannot reach the server (${code || 'broken connection'})${unknown}`,
    { hint: 'check CONJUR_APPLIANCE_URL and the network: secrets doctor', cause: thrown },
  );
}
