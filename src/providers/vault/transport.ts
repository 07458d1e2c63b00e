/**
 * How requests reach Vault: kept-alive connections, an AbortSignal, retries that honour Retry-After, the one
 * redirect from a standby to the active node.
 *
 * node-vault takes a transport through its `request-promise` option; its own has no signal and no retries, and
 * turns TLS verification off when VAULT_SKIP_VERIFY is set. This one never does.
 */
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { JsonDocument } from '../../core/document/document.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import { codeOf as systemCode } from '../../platform/files.ts';
import { version } from '../../core/version.ts';
import { redirectTarget } from './address.ts';
import type { TlsOptions } from './tls.ts';

/** Longest answer read, in bytes: Vault's own limit for a request is 32 MiB. */
const MAX_ANSWER = 33 * 1024 * 1024;
const ATTEMPTS = 4;
/** Seconds of Retry-After that are waited for. */
const LONGEST_WAIT = 10;
/** Ends the line about a write whose answer is missing. */
export const IN_DOUBT = '; the change may have been made';

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
  /** A sign-in: a POST after whose failure nothing is in doubt. */
  readonly changesNothing?: boolean;
  /** The answer is one of the few that are no API response (sys/health). */
  readonly bare?: boolean;
  readonly signal?: AbortSignal;
}

export interface Transport {
  send(call: VaultCall): Promise<VaultAnswer>;
  close(): void;
}

export interface TransportOptions {
  readonly tls: TlsOptions;
  /** Follow a standby's redirect to the active node. */
  readonly redirects: boolean;
}

/** One agent for each scheme: a redirect may lead from one to the other. */
interface Line {
  readonly http: http.Agent;
  readonly https: https.Agent;
  readonly redirects: boolean;
}

export function makeTransport({ tls, redirects }: TransportOptions): Transport {
  const { ca, cert, key, servername } = tls;
  const keep = { keepAlive: true, maxSockets: 16 };
  const line: Line = {
    redirects,
    http: new http.Agent(keep),
    https: new https.Agent({
      ...keep,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(servername !== undefined && { servername }),
    }),
  };
  return {
    send: (call) => withRetries(call, line),
    close: () => {
      line.http.destroy();
      line.https.destroy();
    },
  };
}

/**
 * Repeats what is harmless to repeat. 429, and 400 from a mount that upgrades itself, come before Vault acts, so
 * anything may be sent again; 412 (a replica that lags behind), 5xx and broken connections only for reads.
 * Source: https://developer.hashicorp.com/vault/api-docs#http-status-codes
 */
async function withRetries(call: VaultCall, line: Line): Promise<VaultAnswer> {
  // Many calls share the command's one signal; the warning about leaks would be wrong.
  if (call.signal !== undefined) setMaxListeners(0, call.signal);
  const reads = call.method === 'GET' || call.method === 'LIST';
  // What may have been done although its answer is missing.
  const doubt = reads || call.changesNothing === true ? '' : IN_DOUBT;
  const stopped = (): boolean => call.signal?.aborted === true;
  for (let attempt = 1; ; attempt += 1) {
    if (stopped()) throw aborted(call.signal?.reason, '');
    const last = attempt === ATTEMPTS;
    let wait = 100 * 2 ** attempt * (0.5 + Math.random() / 2);
    try {
      const raw = await follow(call, line);
      if (last || !isPassing(raw, reads)) return answer(call, raw, doubt);
      // A wait that long is the user's to decide.
      if (raw.retryAfter !== undefined && raw.retryAfter > LONGEST_WAIT) return answer(call, raw, doubt);
      if (raw.retryAfter !== undefined) wait = raw.retryAfter * 1000;
    } catch (thrown) {
      if (stopped()) throw aborted(thrown, doubt);
      if (thrown instanceof SecretsError) throw thrown;
      const { cause, uri } = thrown instanceof Broken ? thrown : { cause: thrown, uri: call.uri };
      if (!reads || last || isPermanent(cause)) throw unreachable(cause, uri, doubt);
    }
    await pause(wait, call.signal);
  }
}

/** Whether the same call may well be answered in a moment. */
function isPassing({ status, text }: RawAnswer, reads: boolean): boolean {
  if (status === 429) return true;
  if (status === 400) return /upgrading from non-versioned/i.test(text);
  if (!reads) return false;
  return status === 412 || status === 500 || status === 502 || status === 504;
}

/** Sends the call, and once more to where a standby points. */
async function follow(call: VaultCall, line: Line): Promise<RawAnswer> {
  const first = await sendOnce(call, call.uri, line);
  if (!isRedirect(first)) return first;
  if (!line.redirects)
    throw new SecretsError(
      'Unavailable',
      'this Vault node is a standby, and VAULT_DISABLE_REDIRECTS is set',
      {
        hint: 'use the address of the active node',
      },
    );
  const second = await sendOnce(call, redirectTarget(call.uri, first.location ?? ''), line);
  if (isRedirect(second))
    throw new SecretsError('Unavailable', 'the active Vault node redirects too', {
      hint: 'check api_addr in the servers’ configuration',
    });
  return second;
}

function isRedirect({ status }: RawAnswer): boolean {
  return status === 301 || status === 302 || status === 307 || status === 308;
}

interface RawAnswer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: number | undefined;
  readonly location: string | undefined;
}

/** A connection that failed, and to where. */
class Broken extends Error {
  readonly uri: string;

  constructor(cause: unknown, uri: string) {
    super('connection failed', { cause });
    this.uri = uri;
  }
}

/** The body of a request; a document in it goes out by its source, since its numbers need not fit into Node's. */
function requestText(data: object | null): string {
  if (data instanceof JsonDocument) return data.text;
  const parts = Object.entries(data ?? {}).flatMap(([key, value]: [string, unknown]) => {
    const text = value instanceof JsonDocument ? value.text : JSON.stringify(value);
    return text === undefined ? [] : [`${JSON.stringify(key)}:${text}`];
  });
  return `{${parts.join()}}`;
}

/** What each answer was parsed from. */
const sources = new WeakMap<object, string>();

/** An answer as a document with its source. @throws SecretsError Unavailable for one that Vault would not give */
export function documentOf(body: object): JsonDocument {
  try {
    return JsonDocument.parse(sources.get(body) ?? '');
  } catch (cause) {
    throw new SecretsError('Unavailable', 'the answer is not one of Vault', {
      hint: 'is the address that of a Vault server?',
      cause,
    });
  }
}

function sendOnce(call: VaultCall, uri: string, line: Line): Promise<RawAnswer> {
  // The library asks for JSON with `true`, which is no body.
  const data = typeof call.json === 'object' ? call.json : undefined;
  const body = data === undefined ? undefined : Buffer.from(requestText(data));
  const secure = uri.startsWith('https:');
  const { request } = secure ? https : http;
  const agent = secure ? line.https : line.http;
  return new Promise((resolve, fail) => {
    const reject = (thrown: unknown): void =>
      fail(thrown instanceof SecretsError ? thrown : new Broken(thrown, uri));
    const sent = request(
      uri,
      {
        method: call.method,
        agent,
        ...(call.signal !== undefined && { signal: call.signal }),
        headers: {
          // Vault refuses requests without it where it runs behind an agent that asks for it.
          'X-Vault-Request': 'true',
          'User-Agent': `secrets/${version}`,
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
            location: response.headers.location,
          });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function answer(call: VaultCall, { status, text }: RawAnswer, doubt: string): VaultAnswer {
  // The library takes any answer for a good one whose path has sys/health in it, a secret's name too.
  const request = { path: '' };
  if (text.trim() === '' && (status === 204 || status >= 400))
    return { statusCode: status, body: undefined, request };
  let body: unknown;
  try {
    body = JSON.parse(text);
    if (isJsonObject(body)) sources.set(body, text);
  } catch {
    // A proxy's page in place of Vault's JSON: only its status is of use, and only if it is an error.
  }
  // Each of Vault's API responses has this in it.
  const theirs = typeof (body as { request_id?: unknown } | null | undefined)?.request_id === 'string';
  if (status >= 400 || theirs || (call.bare === true && isJsonObject(body)))
    return { statusCode: status, body, request };
  throw new SecretsError('Unavailable', `the answer is not one of Vault${doubt}`, {
    hint: 'is the address that of a Vault server?',
  });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(aborted(signal.reason, ''));
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(aborted(signal?.reason, ''));
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
  return /CERT|SIGN|ISSUER|ALTNAME|_ALERT_|ENOTFOUND|ERR_TLS|ERR_SSL|EPROTO|ERR_INVALID/.test(
    systemCode(thrown) ?? '',
  );
}

function aborted(cause: unknown, doubt: string): SecretsError {
  return new SecretsError('Unavailable', `no answer in time${doubt}`, {
    hint: 'try again, or allow more with --timeout',
    cause,
  });
}

function unreachable(thrown: unknown, uri: string, doubt: string): SecretsError {
  const code = systemCode(thrown) ?? '';
  const { host } = new URL(uri);
  const fail = (message: string, hint: string): SecretsError =>
    new SecretsError('Unavailable', message, { hint, cause: thrown });
  if (code.includes('_ALERT_'))
    return fail(
      `${host} refused the TLS connection (${code})`,
      'if it asks for a client certificate: VAULT_CLIENT_CERT and VAULT_CLIENT_KEY',
    );
  if (code.includes('ALTNAME'))
    return fail(
      `the certificate of ${host} is for another name (${code})`,
      'use the name it is for, or say it in VAULT_TLS_SERVER_NAME',
    );
  if (code.includes('EXPIRED') || code.includes('NOT_YET_VALID'))
    return fail(`the certificate of ${host} is out of date (${code})`, 'renew it, or check the clock');
  if (/CERT|SIGN|ISSUER/.test(code))
    return fail(
      `the certificate of ${host} is not trusted (${code})`,
      'name its authority in VAULT_CACERT or the store’s ca setting',
    );
  const unknown = code === 'ECONNREFUSED' || code === 'ENOTFOUND' ? '' : doubt;
  return fail(
    `cannot reach ${host} (${code || 'broken connection'})${unknown}`,
    'check VAULT_ADDR and the network: secrets doctor',
  );
}
