/**
 * The transport to Vault: keep-alive connections, an AbortSignal, retries that honour Retry-After, and a single
 * redirect from a standby to the active node.
 *
 * node-vault accepts a transport through its `request-promise` option; its own has no signal and no retries, and turns
 * TLS verification off if VAULT_SKIP_VERIFY is set. This one never does.
 */
import http from 'node:http';
import https from 'node:https';
import { urlToHttpOptions } from 'node:url';
import { JsonDocument } from '../../core/document/document.ts';
import { IN_DOUBT, SecretsError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import { codeOf as systemCode } from '../../platform/files.ts';
import { isUntrusted } from '../../platform/net/authority.ts';
import { requestWhole, type WholeAnswer, withRetries } from '../../platform/net/transport.ts';
import { version } from '../../core/version.ts';
import { redirectTarget } from './address.ts';
import type { TlsOptions } from './tls.ts';

/** Longest response read, in bytes: Vault's own limit for a request is 32 MiB. */
const MAX_ANSWER = 33 * 1024 * 1024;

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
  /** A sign-in: a POST whose failure leaves nothing in doubt. */
  readonly changesNothing?: boolean;
  /** The response is one of the few without the API's form (sys/health). */
  readonly bare?: boolean;
  readonly signal: AbortSignal;
}

export interface Transport {
  send(call: VaultCall): Promise<VaultAnswer>;
  close(): void;
}

export interface TransportOptions {
  readonly tls: TlsOptions;
  /** Whether to follow a standby's redirect to the active node. */
  readonly redirects: boolean;
}

/** One agent for each scheme, because a redirect may change the scheme. */
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
    send: (call) => send(call, line),
    close: () => {
      line.http.destroy();
      line.https.destroy();
    },
  };
}

/**
 * Sends a call and retries where that is harmless. 429, and 400 from a mount that is upgrading itself, come before
 * Vault acts, so any call may be repeated; after 412 (a replica that lags behind), 5xx and broken connections only
 * reads. Source: https://developer.hashicorp.com/vault/api-docs#http-status-codes
 */
async function send(call: VaultCall, line: Line): Promise<VaultAnswer> {
  const reads = call.method === 'GET' || call.method === 'LIST';
  // The call may have been carried out although its response is missing.
  const doubt = reads || call.changesNothing === true ? '' : IN_DOUBT;
  // The current target of the call: a standby may have redirected it.
  let uri = call.uri;
  const whole = await withRetries(() => follow(call, line, (next) => (uri = next)), {
    signal: call.signal,
    isPassing: (answer) => isPassing(answer, reads),
    repeatable: reads,
    doubt,
    unreachable: (thrown) => unreachable(thrown, uri, doubt),
  });
  return answer(call, whole, doubt);
}

/** Whether repeating the call may soon succeed. */
function isPassing({ status, body }: WholeAnswer, reads: boolean): boolean {
  if (status === 429) return true;
  if (status === 400) return /upgrading from non-versioned/i.test(body.toString());
  if (!reads) return false;
  return status === 412 || status === 500 || status === 502 || status === 504;
}

/** Sends the call, and follows a standby's redirect once. */
async function follow(call: VaultCall, line: Line, goesTo: (uri: string) => void): Promise<WholeAnswer> {
  goesTo(call.uri);
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
  const active = redirectTarget(call.uri, first.headers.location ?? '');
  goesTo(active);
  const second = await sendOnce(call, active, line);
  if (isRedirect(second))
    throw new SecretsError('Unavailable', 'the active Vault node redirects too', {
      hint: 'check api_addr in the servers’ configuration',
    });
  return second;
}

function isRedirect({ status }: WholeAnswer): boolean {
  return status === 301 || status === 302 || status === 307 || status === 308;
}

/** The body of a request. A document in it is sent as its source text, because its numbers may not fit into Node's. */
function requestText(data: object | null): string {
  if (data instanceof JsonDocument) return data.text;
  const parts = Object.entries(data ?? {}).flatMap(([key, value]: [string, unknown]) => {
    const text = value instanceof JsonDocument ? value.text : JSON.stringify(value);
    return text === undefined ? [] : [`${JSON.stringify(key)}:${text}`];
  });
  return `{${parts.join()}}`;
}

/** The source text of each parsed response. */
const sources = new WeakMap<object, string>();

/**
 * A response as a document with its source text. @throws SecretsError Unavailable for anything that Vault would not
 * send
 */
export function documentOf(body: object): JsonDocument {
  try {
    return JsonDocument.parse(sources.get(body) ?? '');
  } catch (cause) {
    throw new SecretsError('Unavailable', 'the response is not from Vault', {
      hint: 'check that the address is that of a Vault server',
      cause,
    });
  }
}

function sendOnce(call: VaultCall, uri: string, line: Line): Promise<WholeAnswer> {
  // The library passes `true` to request JSON, which isn't a body.
  const data = typeof call.json === 'object' ? call.json : undefined;
  const body = data === undefined ? undefined : Buffer.from(requestText(data));
  const options = {
    ...urlToHttpOptions(new URL(uri)),
    method: call.method,
    agent: uri.startsWith('https:') ? line.https : line.http,
    headers: {
      // Required if Vault runs behind an agent that is configured to check for it.
      'X-Vault-Request': 'true',
      'User-Agent': `secrets/${version}`,
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...call.headers,
    },
  };
  return requestWhole(options, body, { maxAnswer: MAX_ANSWER, signals: [call.signal] });
}

function answer(call: VaultCall, { status, body: bytes }: WholeAnswer, doubt: string): VaultAnswer {
  const text = bytes.toString('utf8');
  // The library treats any response as successful if the path contains sys/health, even in a secret's name.
  const request = { path: '' };
  if (text.trim() === '' && (status === 204 || status >= 400))
    return { statusCode: status, body: undefined, request };
  let body: unknown;
  try {
    body = JSON.parse(text);
    if (isJsonObject(body)) sources.set(body, text);
  } catch {
    // A proxy's page instead of Vault's JSON: only an error status is useful.
  }
  // Every API response of Vault contains this.
  const theirs = typeof (body as { request_id?: unknown } | null | undefined)?.request_id === 'string';
  if (status >= 400 || theirs || (call.bare === true && isJsonObject(body)))
    return { statusCode: status, body, request };
  throw new SecretsError('Unavailable', `the response is not from Vault${doubt}`, {
    hint: 'check that the address is that of a Vault server',
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
  if (isUntrusted(code))
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
