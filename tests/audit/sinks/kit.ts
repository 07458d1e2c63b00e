/** Logs with sinks for tests: the modules in this process, with a clock that is set, and receivers over HTTP. */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Cursor } from '../../../src/audit/sinks/cursor.ts';
import { readCursor } from '../../../src/audit/sinks/cursor.ts';
import {
  deliver,
  type Delivered,
  type DeliveryOptions,
  registerSinks,
} from '../../../src/audit/sinks/deliver.ts';
import type { GivenSink, Sink } from '../../../src/audit/sinks/settings.ts';
import type { AuditRecord } from '../../../src/core/audit/record.ts';
import { type LogPlace, logPlace } from '../kit.ts';

/** How a request is answered: a status, no answer at all, or a connection that breaks before or after it was read. */
export type Answer = number | 'hang' | 'broken' | 'late break' | 'endless' | 'rubbish' | 'redirect';

export interface HttpReceiver {
  readonly url: string;
  /** Bodies of requests that were answered with success, and the headers. */
  readonly taken: { readonly headers: http.IncomingHttpHeaders; readonly body: string }[];
  /** All bodies. */
  readonly seen: string[];
  /** What the next ones get; the default is 204. */
  readonly answers: Answer[];
  otherwise: () => Answer;
  stop(): Promise<void>;
}

export async function startHttp(tls?: {
  readonly key: string;
  readonly cert: string;
}): Promise<HttpReceiver> {
  const handle = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const answer = receiver.answers.shift() ?? receiver.otherwise();
    if (answer === 'broken') return void request.socket.destroy();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      receiver.seen.push(body);
      if (answer === 'hang') return;
      if (answer === 'late break') return void request.socket.destroy();
      if (answer === 'rubbish') return void request.socket.end('HTTP/9 \u0000\r\n\r\n');
      if (answer === 'redirect') return void response.writeHead(307, { location: '/elsewhere' }).end();
      if (answer === 'endless') {
        response.writeHead(500);
        const timer = setInterval(() => response.write('x'.repeat(10_000)), 5);
        response.on('close', () => clearInterval(timer));
        return;
      }
      if (answer < 300) receiver.taken.push({ headers: request.headers, body });
      response.writeHead(answer).end();
    });
  };
  const server = tls === undefined ? http.createServer(handle) : https.createServer(tls, handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: HttpReceiver = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/hook`,
    taken: [],
    seen: [],
    answers: [],
    otherwise: () => 204,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}

/** The records of bodies, in the order in which they came. */
export function recordsOf(bodies: readonly { readonly body: string }[]): AuditRecord[] {
  return bodies.flatMap(({ body }) => (JSON.parse(body) as { readonly records: AuditRecord[] }).records);
}

export interface SinkPlace extends LogPlace {
  readonly clock: { now: Date };
  sink(given: GivenSink, name?: string): Sink;
  greet(...sinks: readonly Sink[]): void;
  deliver(sink: Sink, more?: Partial<DeliveryOptions>): Promise<Delivered>;
  cursor(name?: string): Cursor;
}

export function sinkPlace(): SinkPlace {
  const place = logPlace();
  const clock = { now: new Date('2026-11-24T09:00:00Z') };
  const now = (): Date => clock.now;
  const secrets = new Map<string, Uint8Array>();
  return {
    ...place,
    options: { ...place.options, now },
    // No test here is about power cuts: nothing waits for the disk.
    open: (more = {}) => place.open({ now, mode: 'best-effort', ...more }),
    clock,
    sink: (given, name = 'siem') => ({ name, given, file: `${place.root}/secrets.yaml`, source: 'user' }),
    greet: (...sinks) => registerSinks(place.path, sinks, clock.now),
    deliver: (sink, more = {}) =>
      deliver({
        logPath: place.path,
        sink,
        context: {
          world: { env: {}, now },
          secret: (reference) =>
            Promise.resolve(secrets.get(reference) ?? Buffer.from(`value of ${reference}`)),
        },
        signal: new AbortController().signal,
        batchMs: 5000,
        waitMs: 0,
        eager: true,
        ...more,
      }),
    cursor: (name = 'siem') => readCursor(place.path, name) as Cursor,
  };
}

/** Without records that came again: in order of their first coming. */
export function distinct(records: readonly AuditRecord[]): AuditRecord[] {
  const seen = new Set<string>();
  return records.filter(({ hash }) => !seen.has(hash) && seen.add(hash));
}
