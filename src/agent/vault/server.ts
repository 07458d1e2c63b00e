/** The HTTP server of the Vault door: where it listens, and what a client may cost. */
import { lstatSync, readFileSync } from 'node:fs';
import {
  createServer as createHttp,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { connect, createServer, type Server as NetServer } from 'node:net';
import { dirname } from 'node:path';
import type { Duplex } from 'node:stream';
import { SecretsError } from '../../core/errors.ts';
import { bindAt } from '../../platform/agent/bind.ts';
import { checkFolder, codeOf, makePrivateFolder } from '../../platform/files.ts';
import { type Answer, failed } from './answers.ts';
import { Connection } from './connection.ts';
import type { CallOptions } from '../../providers/call.ts';
import type { CheckedRequest, Handler } from './handler.ts';
import { Turns } from './turns.ts';

/** A value has at most 512 KiB in Vault; this leaves room for its JSON. */
const MOST_BODY = 1024 * 1024;
/** Between two requests; Node's own timers for the parts of a request need a server that listens by itself. */
const LIMITS = { maxHeaderSize: 16 * 1024, keepAliveTimeout: 60_000 };
/** A client has this long to send the body of a request. */
const BODY_MS = 20_000;
const MOST_CONNECTIONS = 2048;
/** And this long to take the answer, or the last one. */
const TAKE_MS = 30_000;
const GOODBYE_MS = 2000;
/** A store has this long; clients of Vault wait 60 seconds. */
const ANSWER_MS = 30_000;

const NO_BODY: Buffer = Buffer.alloc(0);

/** Where to listen. */
export type Place = { readonly host: string; readonly port: number } | { readonly socket: string };

/** @throws SecretsError Usage for anything but a loopback address and port, or `unix://` and an absolute path */
export function placeOf(text: string): Place {
  const socket = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (socket !== undefined) return { socket };
  const [, host = '', port = ''] =
    /^(?:http:\/\/)?(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})\/?$/.exec(text) ?? [];
  if (host === '' || Number(port) > 65_535)
    throw new SecretsError('Usage', 'the Vault API listens on a loopback address only', {
      hint: 'use 127.0.0.1:8200, 127.0.0.1:0 for any free port, or unix:///PATH',
    });
  return { host: host === '[::1]' ? '::1' : '127.0.0.1', port: Number(port) };
}

export interface Listening {
  /** For VAULT_ADDR. */
  readonly address: string;
  close(): Promise<void>;
}

export async function listen(place: Place, handler: Handler): Promise<Listening> {
  const isSocket = 'socket' in place;
  const turns = new Turns();
  const http = httpServer(handler, turns, isSocket);
  const connections = new Set<Connection>();
  const late = (connection: Connection): void => {
    end(connection, 408, 'the request takes too long');
    connection.mustTake(GOODBYE_MS);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection(socket, late);
    connections.add(connection);
    turns.come();
    connection.once('close', () => connections.delete(connection));
    http.emit('connection', connection);
  });
  server.maxConnections = Math.min(MOST_CONNECTIONS, Math.floor(mostFiles() / 2));
  const remove = isSocket ? await listenOnSocket(server, place.socket) : await listenOn(server, place);
  const bound = server.address();
  const address =
    typeof bound === 'object' && bound !== null
      ? `http://${bound.family === 'IPv6' ? '[::1]' : bound.address}:${bound.port}`
      : `unix://${isSocket ? place.socket : ''}`;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const connection of connections) connection.destroy();
    await closed;
    remove();
  };
  return { address, close };
}

/** Takes requests; it doesn't listen itself. */
function httpServer(handler: Handler, turns: Turns, isSocket: boolean): HttpServer {
  const take = (message: IncomingMessage, response: ServerResponse, waits: boolean): void => {
    const { socket } = message;
    const connection = socket as unknown as Connection;
    if (!connection.begins()) return refusePipelined(message, response);
    const { url = '', headers, rawHeaders } = message;
    const method = connection.methodOf(message.method ?? '');
    response.once('finish', () => {
      connection.allow(undefined);
      connection.answered();
    });
    const checked = handler.check({ method, url, headers, rawHeaders, isSocket });
    if ('status' in checked) {
      connection.allow(undefined);
      return send(message, response, checked, method);
    }
    turns.take(() => {
      void serve(message, response, handler, { request: checked, waits }).catch(() => socket.destroy());
    });
  };
  const http = createHttp(LIMITS, (request, response) => take(request, response, false));
  // All that the limit on their size leaves: Node drops those above a count, and with them what refuses a request.
  http.maxHeadersCount = 0;
  // A client that waits for 100 Continue gets the refusal instead of sending its body.
  http.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
    take(request, response, true),
  );
  http.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400;
    end(
      socket,
      status,
      status === 431 ? 'the head of the request is too large' : 'the request is not valid HTTP',
    );
  });
  return http;
}

/**
 * How many files this process may have open. Any user of the machine can connect to a port: half of them stay for
 * stores, records, and the command line's door.
 */
function mostFiles(): number {
  try {
    const [, files] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return Number(files ?? Infinity);
  } catch {
    return Infinity;
  }
}

async function listenOn(server: NetServer, options: object): Promise<() => void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(notListening(cause, 'another program has that port: choose another, or 0 for any')),
    );
    server.listen(options, resolve);
  });
  return () => undefined;
}

function notListening(cause: unknown, whenUsed: string): SecretsError {
  const code = codeOf(cause);
  return new SecretsError('Failed', `can't listen for Vault's clients: ${code ?? 'unknown failure'}`, {
    hint: code === 'EADDRINUSE' ? whenUsed : undefined,
    cause,
  });
}

/** @returns what removes the socket, unless another has taken its place */
async function listenOnSocket(server: NetServer, path: string): Promise<() => void> {
  if (Buffer.byteLength(path) > 100)
    throw new SecretsError('Usage', 'the path of a Unix socket has at most 100 bytes');
  const folder = dirname(path);
  makePrivateFolder(folder);
  checkFolder(folder, 'nothing');
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined && (!there.isSocket() || (await isUsed(path))))
    throw notListening({ code: 'EADDRINUSE' }, `another program has ${path}: choose another path`);
  try {
    return await bindAt(server, path);
  } catch (thrown) {
    throw notListening(thrown, `another program has ${path}: choose another path`);
  }
}

/** Whether a server may have that socket; an agent that was killed leaves one behind. */
function isUsed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    // Any other failure, such as a queue that is full, is one of a server.
    socket.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error) ?? '')));
  });
}

async function serve(
  message: IncomingMessage,
  response: ServerResponse,
  handler: Handler,
  { request, waits }: { readonly request: CheckedRequest; readonly waits: boolean },
): Promise<void> {
  const connection = message.socket as unknown as Connection;
  // A body costs memory, so only who has a token may send one. Others are answered without it.
  const isRead = hasBody(message) && handler.knows(request);
  // A client that waits sends its body only now, if it has one.
  if (waits && (isRead || !hasBody(message)) && !isTooLarge(message)) response.writeContinue();
  if (isRead) connection.allow(BODY_MS);
  const body = isRead ? await bodyOf(message) : NO_BODY;
  connection.allow(undefined);
  if (body === undefined)
    return send(message, response, failed(413, 'the body is too large'), request.method);
  send(message, response, await handler.answer(request, body, callFor(response)), request.method);
}

/** Until the client is gone or the time is over. Watched only for what waits: most answers come from memory. */
function callFor(response: ServerResponse): CallOptions {
  const deadline = Date.now() + ANSWER_MS;
  let watched: AbortSignal | undefined;
  return {
    deadline,
    get signal(): AbortSignal {
      watched ??= signalFor(response, deadline);
      return watched;
    },
  };
}

function signalFor(response: ServerResponse, deadline: number): AbortSignal {
  const gone = new AbortController();
  const leave = (): void => {
    clearTimeout(timer);
    if (!response.writableFinished) gone.abort(new DOMException('the client is gone', 'AbortError'));
  };
  const late = (): void => gone.abort(new DOMException('the store has not answered in time', 'TimeoutError'));
  const timer = setTimeout(late, Math.max(0, deadline - Date.now())).unref();
  response.once('finish', () => clearTimeout(timer));
  response.once('close', leave);
  if (response.destroyed || response.closed) leave();
  return gone.signal;
}

function isTooLarge({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > MOST_BODY;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

/** The whole body, or undefined if it is too large. */
async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  if (isTooLarge(message)) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MOST_BODY) return undefined;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

function send(message: IncomingMessage, response: ServerResponse, answer: Answer, method: string): void {
  if (response.destroyed) return;
  // Afterwards the message may have lost it.
  const connection = message.socket as unknown as Connection;
  const { status, body, contentType = 'application/json' } = answer;
  response.statusCode = status;
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('Content-Type', contentType);
  const namespace = message.headers['x-vault-namespace'];
  // Vault without namespaces takes the header and answers with it.
  if (typeof namespace === 'string' && /^[\w./-]{1,256}$/.test(namespace))
    response.setHeader('X-Vault-Namespace', namespace);
  if (contentType.startsWith('text/')) response.setHeader('X-Content-Type-Options', 'nosniff');
  // The rest of the body is not read: what follows would be taken for the next request.
  if (!message.complete) response.setHeader('Connection', 'close');
  if (body !== '' && !(method === 'HEAD' && status === 200))
    response.setHeader('Content-Length', Buffer.byteLength(body));
  response.end(method === 'HEAD' ? undefined : body);
  connection.mustTake(TAKE_MS);
}

/** The first of the requests that came before their turn has an answer; the connection ends with it. */
function refusePipelined(message: IncomingMessage, response: ServerResponse): void {
  response.setHeader('Connection', 'close');
  send(message, response, failed(400, 'a request came before the answer to the one before it'), '');
}

/** Answers without a parsed request, and ends the connection. */
function end(socket: Duplex, status: number, text: string): void {
  if (!socket.writable) socket.destroy();
  else socket.end(head(status, failed(status, text)), () => socket.destroy());
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

/** A response that is written without a parsed request. */
function head(status: number, { body }: Answer): string {
  return [
    `HTTP/1.1 ${status} ${REASONS[status] ?? ''}`,
    'Cache-Control: no-store',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
