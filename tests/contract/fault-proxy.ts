/**
 * A proxy on loopback, in front of a real server, that misbehaves when told to.
 *
 * It understands HTTP/1.1, with TLS on either side. Requests go on as they came, Host header included, so that
 * a signature over it still verifies; the client must therefore be given the proxy's address as the server's.
 */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** The server behind the proxy. */
export interface Upstream {
  readonly url: string;
  /** PEM of the authority that signed an https server's certificate. */
  readonly ca?: string | undefined;
  /** PEM of the proxy's own key and certificate: with them the proxy itself speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string } | undefined;
  /** The proxy's name in its URL, one that the certificate holds; 127.0.0.1 where it is missing. */
  readonly host?: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export type Fault =
  /** Answers this in the server's place; with `afterwards`, once the server has done what was asked. */
  | { readonly answer: Answer; readonly afterwards?: boolean }
  /** Breaks the connection; the server sees nothing of the request. */
  | 'reset'
  /** Takes the request and never answers; the server sees nothing of it. */
  | 'hang'
  /** Lets the server do what was asked, and never answers. */
  | 'stall'
  /** Lets the server do what was asked, then breaks the connection in place of the answer. */
  | 'lost'
  /** As `lost`, after half of the server's answer, whose length is announced in full. */
  | 'truncated'
  /** Begins an answer and never ends it: a byte now and then. */
  | 'drip'
  /** Sends an answer without end. */
  | 'endless';

export interface Seen {
  readonly method: string;
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface FaultProxy {
  readonly url: string;
  /** Every request since the start or the last `heal`. */
  readonly requests: readonly Seen[];
  /** Bytes sent of answers without end. */
  readonly endlessBytes: number;
  /** The most requests that were under way at one time since the start or the last `heal`. */
  readonly peak: number;
  /**
   * From now on: lets `skip` requests pass, then treats `times` of them (all that come, by default) like this; with
   * `method` only those with it are counted and treated.
   */
  fault(
    fault: Fault,
    options?: { readonly skip?: number; readonly times?: number; readonly method?: string },
  ): void;
  /** Behaves from now on, breaks off what hangs, forgets the requests. */
  heal(): void;
  stop(): Promise<void>;
}

/** More than any client should read of one answer. */
const ENDLESS_LIMIT = 512 * 1024 * 1024;
/** Headers that belong to one connection. */
const HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'content-length',
]);

export async function startFaultProxy(upstream: Upstream): Promise<FaultProxy> {
  const { tls, host = '127.0.0.1' } = upstream;
  let requests: Seen[] = [];
  let rule: { fault: Fault; skip: number; times: number; method: string | undefined } | undefined;
  let endlessBytes = 0;
  let running = 0;
  let peak = 0;
  const hanging = new Set<Socket>();
  const sockets = new Set<Socket>();

  const next = (method: string | undefined): Fault | undefined => {
    if (rule === undefined || (rule.method !== undefined && rule.method !== method)) return undefined;
    if (rule.skip > 0) {
      rule.skip -= 1;
      return undefined;
    }
    if (rule.times === 0) return undefined;
    rule.times -= 1;
    return rule.fault;
  };

  const serve = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    requests.push({ method: request.method ?? '', path: request.url ?? '', at: Date.now() });
    const fault = next(request.method);
    const { socket } = request;
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    if (fault === 'hang') {
      hanging.add(socket);
    } else if (fault === 'reset') {
      breakOff(socket);
    } else if (fault === 'drip') {
      hanging.add(socket);
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 100);
      response.once('close', () => clearInterval(timer));
    } else if (fault === 'endless') {
      await sendEndless(response, (sent) => (endlessBytes += sent));
    } else if (typeof fault === 'object') {
      if (fault.afterwards === true) await forward(upstream, request, body);
      const { status, headers = {}, body: text = '' } = fault.answer;
      response.writeHead(status, { 'content-length': Buffer.byteLength(text), ...headers }).end(text);
    } else {
      const answer = await forward(upstream, request, body);
      if (fault === 'stall') {
        hanging.add(socket);
        return;
      }
      if (fault === 'lost') {
        breakOff(socket);
        return;
      }
      response.writeHead(answer.status, { ...answer.headers, 'content-length': answer.body.length });
      if (fault === undefined) response.end(answer.body);
      else
        response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () => breakOff(socket));
    }
  };
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    // A client that went away, or a server that did: the client's connection is all that can be ended.
    running += 1;
    peak = Math.max(peak, running);
    response.once('close', () => (running -= 1));
    serve(request, response).catch(() => request.socket.destroy());
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  for (const event of ['connection', 'secureConnection'])
    server.on(event, (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    get requests() {
      return requests;
    },
    get endlessBytes() {
      return endlessBytes;
    },
    get peak() {
      return peak;
    },
    fault: (fault, { skip = 0, times = Infinity, method } = {}) => {
      rule = { fault, skip, times, method };
    },
    heal: () => {
      rule = undefined;
      requests = [];
      endlessBytes = 0;
      peak = 0;
      for (const socket of hanging) socket.destroy();
      hanging.clear();
    },
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** RST where the system lets us, so that the client sees a broken connection and not an orderly end. */
function breakOff(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}

interface FullAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

function forward(upstream: Upstream, request: http.IncomingMessage, body: Buffer): Promise<FullAnswer> {
  const { url, ca } = upstream;
  const { protocol, hostname, port } = new URL(url);
  const send = protocol === 'https:' ? https.request : http.request;
  return new Promise((resolve, reject) => {
    const sent = send(
      {
        hostname,
        port,
        method: request.method,
        path: request.url,
        agent: false,
        headers: { ...endToEnd(request.headers), ...(body.length > 0 && { 'content-length': body.length }) },
        ...(ca !== undefined && { ca }),
      },
      (answer) => {
        const pieces: Buffer[] = [];
        answer.on('data', (piece: Buffer) => pieces.push(piece));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 502,
            headers: endToEnd(answer.headers),
            body: Buffer.concat(pieces),
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

function endToEnd(headers: http.IncomingHttpHeaders): http.IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP.has(name)));
}

/** JSON that never ends, as fast as the client reads it. */
async function sendEndless(response: http.ServerResponse, count: (bytes: number) => void): Promise<void> {
  const piece = Buffer.alloc(256 * 1024, 'a');
  const pieces = function* (): Generator<Buffer | string> {
    yield '{"data":"';
    for (let sent = 0; sent < ENDLESS_LIMIT; sent += piece.length) {
      count(piece.length);
      yield piece;
    }
  };
  response.writeHead(200, { 'content-type': 'application/json' });
  await pipeline(Readable.from(pieces()), response);
}
