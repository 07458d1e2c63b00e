/**
 * The PostgreSQL protocol as a server that lies or a pooler would speak it, as far as a sign-in and one question go:
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import { createHash } from 'node:crypto';
import { createServer, type Socket } from 'node:net';

export interface FrontOptions {
  /** How it asks for the password: not at all, or by AuthenticationCleartextPassword or AuthenticationMD5Password. */
  readonly asks: 'nothing' | 'cleartext' | 'md5';
  /** The password that it takes; everything when it is missing. */
  readonly password?: string;
  /** What it says that the session's user is. */
  readonly sessionUser: string;
  /** A port, or the path of a socket. */
  readonly at?: string;
}

export interface Front {
  readonly port: number;
  /** All that clients sent. */
  received(): string;
  stop(): Promise<void>;
}

const SALT = Buffer.from([1, 2, 3, 4]);

export async function startFront(options: FrontOptions): Promise<Front> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let user: string | undefined;
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (user === undefined) {
        user = /user\0([^\0]*)\0/.exec(chunk.toString('latin1'))?.[1] ?? '';
        socket.write(asked(options.asks));
        if (options.asks === 'nothing') socket.write(READY);
      } else if (chunk[0] === CODE('p')) {
        const answer = chunk.subarray(5, -1).toString();
        socket.write(takes(options, user, answer) ? READY : REFUSED);
      } else if (chunk[0] === CODE('Q')) {
        socket.write(rowOf(options.sessionUser));
      } else socket.end();
    });
  });
  await new Promise<void>((resolve) =>
    options.at === undefined ? server.listen(0, '127.0.0.1', resolve) : server.listen(options.at, resolve),
  );
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    received: () => Buffer.concat(chunks).toString('latin1'),
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

const CODE = (letter: string): number => letter.charCodeAt(0);

function takes({ asks, password }: FrontOptions, user: string, answer: string): boolean {
  if (password === undefined) return true;
  const md5 = (...parts: readonly (string | Buffer)[]): string => {
    const hash = createHash('md5');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  return answer === (asks === 'md5' ? `md5${md5(md5(password, user), SALT)}` : password);
}

function message(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function int(value: number, bytes: 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 2) buffer.writeInt16BE(value);
  else buffer.writeInt32BE(value);
  return buffer;
}

function asked(how: FrontOptions['asks']): Buffer {
  if (how === 'nothing') return Buffer.alloc(0);
  return how === 'cleartext' ? message('R', int(3, 4)) : message('R', int(5, 4), SALT);
}

const IDLE = message('Z', 'I');
const READY = Buffer.concat([message('R', int(0, 4)), message('K', int(1, 4), int(1, 4)), IDLE]);
const REFUSED = message('E', 'SFATAL\0C28P01\0Mpassword authentication failed\0\0');

function rowOf(text: string): Buffer {
  const column = ['account\0', int(0, 4), int(0, 2), int(25, 4), int(-1, 2), int(-1, 4), int(0, 2)];
  return Buffer.concat([
    message('T', int(1, 2), ...column),
    message('D', int(1, 2), int(Buffer.byteLength(text), 4), text),
    message('C', 'SELECT 1\0'),
    IDLE,
  ]);
}
