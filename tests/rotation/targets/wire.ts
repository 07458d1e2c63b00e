/** A line to a server that keeps what passes, and can lose an answer. */
import { connect, createServer, type Socket } from 'node:net';

export interface Wire {
  readonly port: number;
  /** How many connections there were. */
  connections(): number;
  /** All that went to the server. */
  sent(): Buffer;
  /** Cuts the connection once, in place of the server's answer to what holds these bytes. */
  loseAnswerTo(marker: string): void;
  /**
   * Keeps back what holds these bytes, and all that comes after it on its connection, once; also when the client has
   * gone.
   */
  delay(marker: string): Late;
  stop(): Promise<void>;
}

export interface Late {
  /** Resolves once it is kept back. */
  readonly kept: Promise<unknown>;
  /** Delivers it, and resolves when the server has ended the connection. */
  deliver(): Promise<void>;
}

export async function startWire(port: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  const chunks: Buffer[] = [];
  let marker: string | undefined;
  let late: string | undefined;
  let keep: (deliver: () => Promise<void>) => void = () => {};
  let connections = 0;
  const server = createServer((client) => {
    connections += 1;
    const upstream = connect(port, '127.0.0.1');
    let losing = false;
    let kept: Buffer[] | undefined;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
    }
    client.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (marker !== undefined && chunk.includes(marker)) {
        losing = true;
        marker = undefined;
      }
      if (late !== undefined && chunk.includes(late)) {
        late = undefined;
        const mine: Buffer[] = (kept = []);
        keep(async () => {
          const closed = new Promise<void>((resolve) => upstream.once('close', () => resolve()));
          if (upstream.destroyed) return;
          const answered = new Promise<void>((resolve) => upstream.once('data', () => resolve()));
          upstream.write(Buffer.concat(mine));
          upstream.resume();
          // Not before: a server of HTTP gives up the request of a client that it sees leave.
          await Promise.race([answered, closed]);
          upstream.end();
          await closed;
        });
      }
      if (kept === undefined) upstream.write(chunk);
      else kept.push(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (losing) client.destroy();
      else client.write(chunk);
    });
    client.on('close', () => {
      if (kept === undefined) upstream.destroy();
    });
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    connections: () => connections,
    sent: () => Buffer.concat(chunks),
    loseAnswerTo: (text) => {
      marker = text;
    },
    delay: (text) => {
      late = text;
      const kept = new Promise<() => Promise<void>>((resolve) => (keep = resolve));
      return { kept, deliver: async () => (await kept)() };
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
