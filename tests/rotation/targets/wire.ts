/** A line to a server that keeps what passes, and can lose an answer. */
import { connect, createServer, type Socket } from 'node:net';

export interface Wire {
  readonly port: number;
  /** All that went to the server. */
  sent(): Buffer;
  /** Cuts the connection once, in place of the server's answer to what holds these bytes. */
  loseAnswerTo(marker: string): void;
  stop(): Promise<void>;
}

export async function startWire(port: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  const chunks: Buffer[] = [];
  let marker: string | undefined;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let losing = false;
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
      upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (losing) client.destroy();
      else client.write(chunk);
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    sent: () => Buffer.concat(chunks),
    loseAnswerTo: (text) => {
      marker = text;
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
