/** A server that takes connections and says nothing, and does not hang up either: not until nobody is there to hear it. */
import { createServer, type Socket } from 'node:net';

export interface Silent {
  readonly port: number;
  /** Resolves once somebody has connected. */
  readonly connected: Promise<void>;
  /** Resolves once somebody has said something. */
  readonly heard: Promise<void>;
  /** Resolves once every connection was closed from the other side. */
  untilClosed(): Promise<void>;
  stop(): Promise<void>;
}

export async function startSilent(): Promise<Silent> {
  const open = new Set<Socket>();
  let [onConnected, onHeard] = [(): void => {}, (): void => {}];
  const connected = new Promise<void>((resolve) => (onConnected = resolve));
  const heard = new Promise<void>((resolve) => (onHeard = resolve));
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    onConnected();
    socket.once('data', () => onHeard());
    socket.on('error', () => {});
    // What is sent to a socket that was closed, not only ended, is refused: seen at the second byte. Three are no message
    // of any protocol.
    socket.on('end', () => {
      for (const ms of [20, 60, 100]) setTimeout(() => socket.destroyed || socket.write('\0'), ms);
    });
    socket.on('close', () => open.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    connected,
    heard,
    untilClosed: async () => {
      const end = Date.now() + 120_000;
      while (open.size > 0) {
        if (Date.now() > end) throw new Error('a connection is still open');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
