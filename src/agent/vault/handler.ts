/** From a request to an answer: refusals, token, path. */
import type { IncomingHttpHeaders } from 'node:http';
import { JsonDocument } from '../../core/document/document.ts';
import { type ErrorKind, SecretsError, toSecretsError } from '../../core/errors.ts';
import { learnSpellings } from '../../output/confidential.ts';
import { errorLine } from '../../output/report.ts';
import type { CallOptions } from '../../providers/call.ts';
import type { DoorContext } from '../doors.ts';
import type { AgentStore } from '../stores.ts';
import {
  type Answer,
  BAD_TOKEN,
  failed,
  METHOD_NOT_ALLOWED,
  NO_PAGE,
  NO_TOKEN,
  noRoute,
  NOT_ALLOWED,
} from './answers.ts';
import { kvV1, kvV2 } from './kv.ts';
import { type Mount, mountAt, mountsOf, readPath, type RequestPath } from './paths.ts';
import { programOf, refusal } from './refusals.ts';
import type { DoorRequest } from './request.ts';
import { capabilitiesSelf, health, leader, leases, mountList, oneMount, sealStatus } from './system.ts';
import { tokenCall } from './token-calls.ts';
import type { Tokens } from './tokens.ts';

export interface RawRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly isSocket: boolean;
}

/** A request that wasn't refused. */
export interface CheckedRequest {
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly target: RequestPath;
}

const METHODS = new Set(['GET', 'HEAD', 'LIST', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** How often a token that isn't known is recorded. */
const STRANGER_MS = 60_000;

/** How a store's failure looks to a client of Vault. 5xx and 429 are what clients try again. */
const STATUS: Readonly<Record<ErrorKind, number>> = {
  NotFound: 404,
  Denied: 403,
  Policy: 403,
  Unauthenticated: 500,
  Conflict: 400,
  Invalid: 400,
  Unsupported: 400,
  Usage: 400,
  Throttled: 429,
  Unavailable: 503,
  Integrity: 500,
  Partial: 500,
  Failed: 500,
};

export class Handler {
  readonly #context: DoorContext;
  readonly #tokens: Tokens;
  readonly #startedAt: Date;

  readonly #reason: string | undefined;
  #strangerAt = Number.NEGATIVE_INFINITY;
  #mounts: { readonly stores: readonly AgentStore[]; readonly all: readonly Mount[] } | undefined;

  constructor(context: DoorContext, tokens: Tokens, reason: string | undefined) {
    this.#reason = reason;
    this.#context = context;
    this.#tokens = tokens;
    this.#startedAt = context.world.now();
  }

  /** What is wrong with a request before its body is read, or the request. */
  check({ method, url, headers, rawHeaders, isSocket }: RawRequest): Answer | CheckedRequest {
    const refused = refusal(headers, rawHeaders, isSocket);
    if (refused !== undefined) return failed(403, refused);
    if (!METHODS.has(method)) return METHOD_NOT_ALLOWED;
    if (headers['x-vault-wrap-ttl'] !== undefined)
      return failed(400, 'response wrapping is not supported by secrets agent');
    const target = readPath(url);
    if (typeof target === 'string') return failed(400, target);
    return target === undefined ? NO_PAGE : { method, headers, target };
  }

  /** Whether a request has a token of ours. */
  knows({ headers }: CheckedRequest): boolean {
    const secret = tokenIn(headers);
    return secret !== undefined && this.#tokens.knows(secret);
  }

  /** Answers a request that wasn't refused. Never rejects. */
  async answer(request: CheckedRequest, bytes: Uint8Array, call: CallOptions): Promise<Answer> {
    try {
      return await this.#answer(request, bytes, call);
    } catch (thrown) {
      return this.#failure(toSecretsError(thrown));
    }
  }

  async #failure(error: SecretsError): Promise<Answer> {
    await learnSpellings(this.#context.world);
    return failed(STATUS[error.kind], errorLine(error, this.#context.world));
  }

  async #answer(request: CheckedRequest, bytes: Uint8Array, call: CallOptions): Promise<Answer> {
    const { path, query } = request.target;
    const open = this.#withoutToken(request.method, path);
    if (open !== undefined) return open;
    const secret = tokenIn(request.headers);
    const token = secret === undefined ? undefined : this.#tokens.use(secret);
    if (secret === undefined || token === undefined) {
      if (secret !== undefined) await this.#recordStranger(request);
      return this.#unknown(secret, request.method, path);
    }
    this.#context.used();
    const method = methodOf(request.method, query);
    if (method === undefined) return failed(400);
    const body = bodyOf(bytes);
    if (typeof body === 'string') return failed(400, body);
    const { stores, world } = this.#context;
    const client = {
      door: 'vault',
      program: programOf(request.headers['user-agent']),
      token: token.accessor,
      reason: this.#reason,
    } as const;
    return this.#route({
      method,
      path,
      query,
      body,
      secret,
      token,
      client,
      stores,
      call,
      now: world.now,
    });
  }

  /** Who guesses tokens is recorded, but can't fill the log: one record stands for all of its minute. */
  async #recordStranger({ headers }: CheckedRequest): Promise<void> {
    const now = this.#context.world.now().getTime();
    if (Math.abs(now - this.#strangerAt) < STRANGER_MS) return;
    this.#strangerAt = now;
    const program = programOf(headers['user-agent']);
    await this.#context.stores.refused({ door: 'vault', program }, { action: 'other' });
  }

  /** What anybody on this machine may ask. */
  #withoutToken(method: string, path: string): Answer | undefined {
    if (path !== 'sys/health' && path !== 'sys/seal-status' && path !== 'sys/leader') return undefined;
    if (method !== 'GET' && !(method === 'HEAD' && path === 'sys/health')) return METHOD_NOT_ALLOWED;
    if (path === 'sys/leader') return leader();
    return path === 'sys/health' ? health(this.#context.world.now()) : sealStatus(this.#startedAt);
  }

  #unknown(secret: string | undefined, method: string, path: string): Answer {
    if (/^auth\/[^/]+\/login(?:\/|$)/.test(path) && (method === 'POST' || method === 'PUT'))
      return failed(
        404,
        noRoute(path),
        'secrets agent has no sign-in methods: use the token of its token file, or secrets agent run',
      );
    if (secret !== undefined) return BAD_TOKEN;
    return path === 'sys/internal/ui/mounts' && method === 'GET' ? mountList([], undefined) : NO_TOKEN;
  }

  #mountsOf(stores: readonly AgentStore[]): readonly Mount[] {
    if (this.#mounts?.stores !== stores) this.#mounts = { stores, all: mountsOf(stores) };
    return this.#mounts.all;
  }

  async #route(request: DoorRequest): Promise<Answer> {
    const { path, method } = request;
    if (path.startsWith('auth/token/')) return tokenCall(request, this.#tokens);
    if (path.startsWith('auth/')) return NOT_ALLOWED;
    if (path.startsWith('sys/leases/')) return leases(request);
    const mounts = this.#mountsOf(await this.#context.stores.list());
    const listed = 'sys/internal/ui/mounts';
    if (path === listed && method === 'GET') return mountList(mounts, request.token);
    if (path.startsWith(`${listed}/`) && method === 'GET')
      return oneMount(request, mounts, path.slice(listed.length + 1));
    if (path === 'sys/capabilities-self') return capabilitiesSelf(request, mounts);
    const found = mountAt(mounts, path);
    if (found === undefined || (path.length < found.mount.path.length && method !== 'LIST'))
      return NOT_ALLOWED;
    return found.mount.version === 1
      ? kvV1(request, found.mount, found.rest)
      : kvV2(request, found.mount, found.rest);
  }
}

/** The token of a request: Vault's own header first. */
function tokenIn(headers: IncomingHttpHeaders): string | undefined {
  const own = headers['x-vault-token'];
  if (typeof own === 'string' && own !== '') return own;
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

/** `?list=true` is a LIST, in every spelling of Go's ParseBool; undefined for another text. */
function methodOf(method: string, query: URLSearchParams): string | undefined {
  const list = query.get('list') ?? '';
  if (method !== 'GET' || list === '') return method;
  if (/^(?:1|t|T|TRUE|true|True)$/.test(list)) return 'LIST';
  return /^(?:0|f|F|FALSE|false|False)$/.test(list) ? 'GET' : undefined;
}

/** The JSON object of a body; undefined if it is empty; or a text that says what is wrong, without quoting it. */
function bodyOf(bytes: Uint8Array): JsonDocument | undefined | string {
  if (bytes.length === 0) return undefined;
  try {
    const document = JsonDocument.parse(bytes);
    return document.isObject ? document : 'error parsing JSON: the body is not an object';
  } catch {
    return 'error parsing JSON';
  }
}
