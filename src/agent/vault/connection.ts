/**
 * A connection that understands LIST. Node's HTTP parser refuses that method before any code of ours sees the request,
 * and hvac, and so Ansible, sends it. At the start of each request, LIST is replaced by a method that the parser knows
 * and that nobody sends; the rest passes unchanged.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** In the parser's list, and no method of Vault's. A client that sends it itself is told apart by `isList`. */
const STAND_IN = 'SEARCH';
/** A client has this long to send the head of a request. */
const HEADERS_MS = 10_000;
/** And this long to take the last answer. */
const GOODBYE_MS = 2000;
const LIST = Buffer.from('LIST ');

export class Connection extends Duplex {
  readonly #socket: Socket;
  readonly #late: (connection: Connection) => void;
  /** The start of a request, until it is clear what it is; undefined inside of a request. */
  #start: Buffer | undefined = Buffer.alloc(0);
  /** The request in progress came as LIST. */
  #isList = false;
  #isBusy = false;
  #isClosing = false;

  #timer: NodeJS.Timeout | undefined;

  /** @param late called when a request takes longer than it was allowed */
  constructor(socket: Socket, late: (connection: Connection) => void) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#late = late;
    this.allow(HEADERS_MS);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => {
      if (this.#start !== undefined && this.#start.length > 0) this.push(this.#start);
      this.push(null);
    });
    socket.on('error', (error) => this.destroy(error));
    socket.on('timeout', () => this.emit('timeout'));
    socket.on('close', () => this.destroy());
  }

  /** From now on, a client has this long to send the next part; undefined: nothing is expected of it. */
  allow(ms: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = ms === undefined ? undefined : setTimeout(() => this.#late(this), ms).unref();
  }

  /** From now on, a client has this long to take what was written; then it is cut off. */
  mustTake(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.destroyed && this.writableLength > 0)
      this.#timer = setTimeout(() => this.destroy(), ms).unref();
  }

  /** The method that the client sent, of a request that the parser has read. */
  methodOf(parsed: string): string {
    return parsed === STAND_IN && this.#isList ? 'LIST' : parsed;
  }

  /**
   * The parser has read the head of a request. One that comes before the answer to the one before it has no time limit
   * of its own, and its LIST goes unnoticed: it isn't served, and nothing after it is read.
   * @returns whether it may be served
   */
  begins(): boolean {
    this.#isClosing ||= this.#isBusy;
    this.#isBusy = true;
    return !this.#isClosing;
  }

  /** The request has been answered: what comes next is another one. */
  answered(): void {
    this.#isBusy = false;
    this.#isList = false;
    this.#start ??= Buffer.alloc(0);
  }

  #take(chunk: Buffer): void {
    if (this.#isClosing) return;
    const ready =
      this.#start === undefined
        ? chunk
        : this.#begin(this.#start.length === 0 ? chunk : Buffer.concat([this.#start, chunk]));
    if (ready !== undefined && !this.push(ready)) this.#socket.pause();
  }

  /** What the parser gets of a request's start; undefined while it may still become LIST. */
  #begin(start: Buffer): Buffer | undefined {
    if (start.length < LIST.length && LIST.subarray(0, start.length).equals(start)) {
      this.#start = start;
      return undefined;
    }
    this.#start = undefined;
    this.allow(HEADERS_MS);
    if (!start.subarray(0, LIST.length).equals(LIST)) return start;
    this.#isList = true;
    return Buffer.concat([Buffer.from(`${STAND_IN} `), start.subarray(LIST.length)]);
  }

  // What node:http asks of a socket.

  setTimeout(ms: number, listener?: () => void): this {
    this.#socket.setTimeout(ms);
    if (listener !== undefined) this.once('timeout', listener);
    return this;
  }

  /** The last answer: what the client still sends is not read, and it can't keep the connection. */
  destroySoon(): void {
    this.end();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.destroy(), GOODBYE_MS).unref();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, encoding, done);
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer; readonly encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const all = chunks.map(({ chunk, encoding }) =>
      typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk,
    );
    this.#socket.write(Buffer.concat(all), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.allow(undefined);
    this.#socket.destroy();
    done(error);
  }
}
