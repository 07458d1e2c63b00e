/**
 * How requests reach Vault: kept-alive connections, an AbortSignal, retries that honour Retry-After.
 *
 * node-vault takes a transport through its `request-promise` option; its own has no signal and no retries, and
 * turns TLS verification off when VAULT_SKIP_VERIFY is set. This one never does.
 */
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { SecretsError } from '../../core/errors.ts';
import { codeOf as systemCode } from '../../files.ts';

/** Longest answer read, in bytes: Vault's own limit for a request is 32 MiB. */
const MAX_ANSWER = 33 * 1024 * 1024;
const ATTEMPTS = 4;
/** Seconds of Retry-After that are waited for. */
const LONGEST_WAIT = 10;

export interface VaultAnswer {
  readonly statusCode: number;
  readonly body: unknown;
  readonly request: { readonly path: string };
}

export interface VaultCall {
  readonly method: string;
  readonly uri: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly signal?: AbortSignal;
}

export interface Transport {
  send(call: VaultCall): Promise<VaultAnswer>;
  close(): void;
}

export interface TransportOptions {
  readonly secure: boolean;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export function makeTransport(options: TransportOptions): Transport {
  const { ca, cert, key } = options;
  const agent = options.secure
    ? new https.Agent({
        keepAlive: true,
        maxSockets: 16,
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
      })
    : new http.Agent({ keepAlive: true, maxSockets: 16 });
  return {
    send: (call) => withRetries(call, agent),
    close: () => agent.destroy(),
  };
}

/**
 * Repeats what is harmless to repeat. 429 comes before Vault acts, so anything may be sent again; 412 (a
 * replica that lags behind), 5xx and broken connections only for reads.
 * Source: https://developer.hashicorp.com/vault/api-docs#http-status-codes
 */
async function withRetries(call: VaultCall, agent: http.Agent): Promise<VaultAnswer> {
  // Many calls share the command's one signal; the warning about leaks would be wrong.
  if (call.signal !== undefined) setMaxListeners(0, call.signal);
  const reads = call.method === 'GET' || call.method === 'LIST';
  for (let attempt = 1; ; attempt += 1) {
    const last = attempt === ATTEMPTS;
    let wait = 100 * 2 ** attempt * (0.5 + Math.random() / 2);
    try {
      const { status, text, retryAfter } = await sendOnce(call, agent);
      const again = status === 429 || (reads && (status === 412 || status === 500 || status === 502));
      if (!again || last) return answer(call, status, text);
      // A wait that long is the user's to decide.
      if (retryAfter !== undefined && retryAfter > LONGEST_WAIT) return answer(call, status, text);
      if (retryAfter !== undefined) wait = retryAfter * 1000;
    } catch (thrown) {
      if (call.signal?.aborted === true) throw aborted(thrown);
      if (thrown instanceof SecretsError) throw thrown;
      if (!reads || last || isPermanent(thrown)) throw unreachable(thrown, reads);
    }
    await pause(wait, call.signal);
  }
}

interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: number | undefined;
}

function sendOnce(call: VaultCall, agent: http.Agent): Promise<RawAnswer> {
  const body = call.json === undefined ? undefined : Buffer.from(JSON.stringify(call.json));
  const { request } = call.uri.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const sent = request(
      call.uri,
      {
        method: call.method,
        agent,
        ...(call.signal !== undefined && { signal: call.signal }),
        headers: {
          // Vault refuses requests without it where it runs behind an agent that asks for it.
          'X-Vault-Request': 'true',
          ...(body !== undefined && { 'Content-Type': 'application/json', 'Content-Length': body.length }),
          ...call.headers,
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
          const seconds = Number(response.headers['retry-after']);
          resolve({
            status: response.statusCode ?? 0,
            text: Buffer.concat(pieces).toString('utf8'),
            retryAfter: Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function answer(call: VaultCall, status: number, text: string): VaultAnswer {
  const request = { path: new URL(call.uri).pathname };
  if (text.trim() === '' && (status === 204 || status >= 400))
    return { statusCode: status, body: undefined, request };
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's page in place of Vault's JSON: only its status is of use, and only if it is an error.
  }
  // Each of Vault's answers that has a body has this in it.
  const theirs = typeof (body as { request_id?: unknown } | null | undefined)?.request_id === 'string';
  if (status >= 400 || theirs) return { statusCode: status, body, request };
  throw new SecretsError('Unavailable', 'the answer is not one of Vault', {
    hint: 'is the address that of a Vault server?',
  });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(aborted(signal.reason));
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(aborted(signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Trust and name failures don't go away by asking again. */
function isPermanent(thrown: unknown): boolean {
  return /CERT|SIGNED|ISSUER|ALTNAME|ENOTFOUND|ERR_TLS|ERR_SSL|EPROTO|ERR_INVALID/.test(
    systemCode(thrown) ?? '',
  );
}

function aborted(cause: unknown): SecretsError {
  return new SecretsError('Unavailable', 'no answer in time', {
    hint: 'try again, or allow more with --timeout',
    cause,
  });
}

function unreachable(thrown: unknown, reads: boolean): SecretsError {
  const code = systemCode(thrown) ?? '';
  if (/CERT|SIGNED|ISSUER|ALTNAME/.test(code)) {
    return new SecretsError('Unavailable', `the server’s certificate is not trusted (${code})`, {
      hint: 'name its authority in VAULT_CACERT or the store’s ca setting',
      cause: thrown,
    });
  }
  const unknown =
    reads || code === 'ECONNREFUSED' || code === 'ENOTFOUND' ? '' : '; the change may have been made';
  return new SecretsError(
    'Unavailable',
    `cannot reach the server (${code || 'broken connection'})${unknown}`,
    {
      hint: 'check VAULT_ADDR and the network: secrets doctor',
      cause: thrown,
    },
  );
}
