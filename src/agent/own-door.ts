/**
 * The door for our own command line: a Unix socket in a folder of the user's own. One request for each connection. A
 * client is served as itself or not at all; see `AgentIdentity`.
 */
import type { Server, Socket } from 'node:net';
import {
  AGENT_PROTOCOL,
  AGENT_PULSE_MS,
  type AgentAnswer,
  type AgentGet,
  type AgentIdentity,
  type AgentRead,
  type AgentRefusal,
  type AgentResult,
} from '../core/agent/messages.ts';
import { encodeSecret } from '../core/agent/secret-codec.ts';
import { toSecretsError } from '../core/errors.ts';
import type { JsonValue } from '../core/json.ts';
import { version } from '../core/version.ts';
import { descriptorOf, type ProgramWorld } from '../config/kinds.ts';
import { reasonOf } from '../audit/recording/reason.ts';
import { clean, learnSpellings } from '../output/confidential.ts';
import { frame, FrameReader, MOST_ANSWER_BYTES, MOST_REQUEST_BYTES } from '../platform/agent/frames.ts';
import type { Door, DoorContext } from './doors.ts';
import { heldFor } from './plain-get.ts';
import { checkSettings, parseRequest } from './request-schema.ts';
import type { Serving } from './serving.ts';
import type { ServedResult } from './stores.ts';

/** A client has this long to send its request. */
const REQUEST_MS = 5000;
/** The agent answers before its client gives up. */
const MARGIN_MS = 200;
/** A client has this long to read its answer; it gives the agent up sooner itself. */
const ANSWER_MS = 10_000;
/** The same when the agent ends. */
const LAST_ANSWER_MS = 1000;

export interface OwnDoorParts extends Omit<DoorContext, 'stores'> {
  readonly world: ProgramWorld;
  readonly stores: Serving;
  readonly server: Server;
  readonly address: string;
  readonly identity: AgentIdentity;
  readonly status: () => Readonly<Record<string, JsonValue>>;
  readonly stop: () => void;
}

export class OwnDoor implements Door {
  readonly name = 'own';
  readonly address: string;
  readonly #parts: OwnDoorParts;
  readonly #sockets = new Set<Socket>();
  #served = 0;

  constructor(parts: OwnDoorParts) {
    this.#parts = parts;
    this.address = parts.address;
    parts.server.on('connection', (socket) => this.#welcome(socket));
  }

  status(): Readonly<Record<string, JsonValue>> {
    return { connections: this.#sockets.size, requests: this.#served };
  }

  async stop(): Promise<void> {
    const { server } = this.#parts;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroySoon();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, LAST_ANSWER_MS);
    await closed;
    clearTimeout(timer);
  }

  #welcome(socket: Socket): void {
    this.#sockets.add(socket);
    const reader = new FrameReader(MOST_REQUEST_BYTES);
    let timer = setTimeout(() => socket.destroy(), REQUEST_MS).unref();
    const gone = new AbortController();
    let isAsked = false;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(timer);
      gone.abort();
      this.#sockets.delete(socket);
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        // Nothing comes after the request.
        if (isAsked) throw new TypeError('one request');
        const [message] = reader.push(chunk);
        if (message === undefined) return;
        isAsked = true;
        clearTimeout(timer);
        void this.#serve(socket, message, gone.signal)
          .catch(() => socket.destroy())
          .finally(() => {
            if (!socket.closed) timer = setTimeout(() => socket.destroy(), ANSWER_MS).unref();
          });
      } catch {
        socket.destroy();
      }
    });
    socket.write(frame({ agent: 'secrets', protocol: AGENT_PROTOCOL, version, pid: process.pid }));
  }

  async #serve(socket: Socket, message: unknown, gone: AbortSignal): Promise<void> {
    this.#served += 1;
    const pulse = setInterval(() => socket.write(frame({ waiting: true })), AGENT_PULSE_MS);
    let bytes: Buffer;
    try {
      bytes = frame(await this.#answer(message, gone));
      if (bytes.length > MOST_ANSWER_BYTES)
        bytes = frame({ refused: 'request', detail: 'its answer is too long' });
    } catch (thrown) {
      const { kind, message: detail } = toSecretsError(thrown);
      this.#parts.debug(`a request failed: ${kind}: ${detail}`);
      bytes = frame({ refused: 'store', detail: 'it can’t open the store, or record the access' });
    } finally {
      clearInterval(pulse);
    }
    socket.end(bytes);
  }

  async #answer(message: unknown, gone: AbortSignal): Promise<AgentAnswer> {
    const request = parseRequest(message);
    const { stores } = this.#parts;
    switch (request?.op) {
      case 'read':
        // Who only looks at the agent doesn't use it.
        this.#parts.used();
        return this.#read(request, gone);
      case 'get':
        this.#parts.used();
        return this.#get(request);
      case 'status':
        return { done: this.#status(request.identity) };
      case 'clear':
        return { done: { cleared: stores.clear() } };
      case 'drop':
        stores.dropKind(request.provider);
        return { done: true };
      case 'stop':
        // After the answer.
        setImmediate(this.#parts.stop);
        return { done: true };
      case undefined:
        return { refused: 'request', detail: 'it doesn’t understand the request' };
    }
  }

  #status(client: AgentIdentity | undefined): JsonValue {
    const refusal = client && refusalOf(client, this.#parts.identity);
    return { ...this.#parts.status(), ...(refusal !== undefined && { refuses: refusal.detail }) };
  }

  async #get(request: AgentGet): Promise<AgentAnswer> {
    const { identity, world, stores } = this.#parts;
    const refusal = refusalOf({ ...request.identity, log: identity.log }, identity);
    if (refusal !== undefined) return refusal;
    const value = await heldFor(request, { identity, world, stores });
    if (value === undefined) return { refused: 'request', detail: 'it holds no value for that' };
    return { value: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  }

  async #read(request: AgentRead, gone: AbortSignal): Promise<AgentAnswer> {
    const refusal = refusalOf(request.identity, this.#parts.identity);
    if (refusal !== undefined) return refusal;
    const { store, cwd, credentials, client, requests, mode } = request;
    const descriptor = descriptorOf(this.#parts.world, store.provider);
    if (descriptor === undefined) return { refused: 'store', detail: 'it has no such provider' };
    await checkSettings(descriptor, store.settings);
    const end = new AbortController();
    const abort = (): void => end.abort();
    gone.addEventListener('abort', abort, { once: true });
    const waitMs = Math.max(0, request.waitMs - MARGIN_MS);
    const timer = setTimeout(abort, waitMs);
    try {
      const results = await this.#parts.stores.readFor(
        { door: 'own', ...client, reason: reasonOf(undefined, client.reason) },
        { ...store, cwd, credentials },
        requests,
        mode,
        { signal: end.signal, deadline: Date.now() + waitMs },
      );
      if (typeof results === 'string') return { refused: 'store', detail: results };
      if (results.some(({ ok }) => !ok)) await learnSpellings(this.#parts.world);
      return { results: results.map((result) => encode(result, this.#parts.world)) };
    } finally {
      clearTimeout(timer);
      gone.removeEventListener('abort', abort);
    }
  }
}

function refusalOf(
  client: AgentIdentity,
  own: AgentIdentity,
): { readonly refused: AgentRefusal; readonly detail: string } | undefined {
  if (client.version !== own.version)
    return { refused: 'version', detail: `it is of version ${own.version}; restart it` };
  if (client.home !== own.home) return { refused: 'home', detail: `it was started with HOME=${own.home}` };
  if (client.environment !== own.environment)
    return {
      refused: 'environment',
      detail: 'it was started with other variables of a secret manager, such as AWS_PROFILE or VAULT_TOKEN',
    };
  if (client.log !== own.log)
    return { refused: 'log', detail: 'it was started with another audit log in its configuration' };
  return undefined;
}

function encode(result: ServedResult, world: ProgramWorld): AgentResult {
  if (result.ok) {
    const { secret, from, fetchedAt } = result;
    return { secret: encodeSecret(secret), from, fetchedAt: fetchedAt.toISOString() };
  }
  const { kind, message, hint } = result.error;
  // It may repeat a value that another client has read; this one can't know that.
  return { error: { kind, message: clean(message, world), hint: hint && clean(hint, world) } };
}
