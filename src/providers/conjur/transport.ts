/**
 * How requests reach Conjur: node:https with kept-alive connections, an authority of the user's own, an
 * AbortSignal, and retries that honour Retry-After. Nothing maintained on npm speaks Conjur's API; the platform's
 * fetch would take an own authority only through another library, and takes longer to load.
 */
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../platform/files.ts';
import { version } from '../../core/version.ts';

/** Longest answer read, in bytes: a batch of large values. */
const MAX_ANSWER = 64 * 1024 * 1024;
const ATTEMPTS = 4;
/** Seconds of Retry-After that are waited for. */
const LONGEST_WAIT = 10;

export interface Call {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** From the server's own path on, encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | string | undefined;
  readonly signal: AbortSignal;
  /** Doing it twice does no more than doing it once. */
  readonly repeatable: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
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
   * Sends a call, and again what is harmless to send again: anything after 429 (refused before it is looked at)
   * and after the 409 of a policy load that met another one; else what is repeatable, after 5xx and broken
   * connections.
   */
  async send(call: Call): Promise<Answer> {
    // Many calls share the command's one signal; the warning about leaks would be wrong.
    setMaxListeners(0, call.signal);
    for (let attempt = 1; ; attempt += 1) {
      if (call.signal.aborted) throw aborted(call.signal.reason, false);
      let wait = 100 * 2 ** attempt * (0.5 + Math.random() / 2);
      try {
        const answer = await this.#once(call);
        const { status } = answer;
        const busy = status === 429 || (status === 409 && call.method === 'PATCH');
        const again = busy || (call.repeatable && status >= 500 && status !== 501);
        if (!again || attempt === ATTEMPTS) return answer;
        const seconds = Number(answer.headers['retry-after']);
        if (Number.isFinite(seconds) && seconds >= 0) {
          // A wait that long is the user's to decide.
          if (seconds > LONGEST_WAIT) return answer;
          wait = Math.max(seconds * 1000, 20) + Math.random() * 50;
        }
      } catch (thrown) {
        if (call.signal.aborted) throw aborted(thrown, !call.repeatable);
        if (thrown instanceof SecretsError) throw thrown;
        if (!call.repeatable || attempt === ATTEMPTS || isPermanent(thrown))
          throw unreachable(thrown, call.repeatable);
      }
      await pause(wait, call.signal);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #once({ method, path, headers, body, signal }: Call): Promise<Answer> {
    const { request } = this.#base.protocol === 'https:' ? https : http;
    const bytes = body === undefined ? undefined : Buffer.from(body as Uint8Array);
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          protocol: this.#base.protocol,
          hostname: this.#base.hostname.replaceAll(/^\[|\]$/g, ''),
          port: this.#base.port,
          path: this.#base.pathname.replace(/\/$/, '') + path,
          method,
          agent: this.#agent,
          signal,
          headers: {
            'User-Agent': `secrets/${version}`,
            ...(bytes !== undefined && { 'Content-Length': bytes.length }),
            ...headers,
          },
        },
        (response) => {
          const pieces: Buffer[] = [];
          let size = 0;
          response.on('data', (piece: Buffer) => {
            size += piece.length;
            if (size <= MAX_ANSWER) pieces.push(piece);
            else response.destroy(new SecretsError('Unavailable', 'the server’s answer is too long'));
          });
          response.on('error', reject);
          response.on('end', () => {
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(pieces),
            });
          });
        },
      );
      sent.on('error', reject);
      sent.end(bytes);
    });
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(aborted(signal.reason, false));
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(aborted(signal.reason, false));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

/** OpenSSL's codes for a certificate that doesn't verify. */
function isUntrusted(code: string): boolean {
  return /CERT|SIGN|ISSUER|ALTNAME/.test(code);
}

/** Trust and name failures don't go away by asking again. */
function isPermanent(thrown: unknown): boolean {
  return (
    isUntrusted(codeOf(thrown) ?? '') ||
    /ENOTFOUND|ERR_TLS|ERR_SSL|EPROTO|ERR_INVALID/.test(codeOf(thrown) ?? '')
  );
}

function aborted(cause: unknown, maybeWritten: boolean): SecretsError {
  return new SecretsError(
    'Unavailable',
    `no answer in time${maybeWritten ? '; the change may have been made' : ''}`,
    { hint: 'try again, or allow more with --timeout', cause },
  );
}

function unreachable(thrown: unknown, harmless: boolean): SecretsError {
  const code = codeOf(thrown) ?? '';
  if (isUntrusted(code))
    return new SecretsError('Unavailable', `the server’s certificate is not trusted (${code})`, {
      hint: 'name its authority in CONJUR_CERT_FILE or the store’s ca setting',
      cause: thrown,
    });
  const unknown =
    harmless || code === 'ECONNREFUSED' || code === 'ENOTFOUND' ? '' : '; the change may have been made';
  return new SecretsError(
    'Unavailable',
    `cannot reach the server (${code || 'broken connection'})${unknown}`,
    { hint: 'check CONJUR_APPLIANCE_URL and the network: secrets doctor', cause: thrown },
  );
}
