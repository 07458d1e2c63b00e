/** Clients that connect at the same time are let in before those that came first are served again and again. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Turns } from '../../../src/agent/vault/turns.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('forty clients that connect at once are let in before any is served', async () => {
  const happened: string[] = [];
  const turns = new Turns(60_000);
  const server = createServer((socket) => {
    happened.push('in');
    turns.come();
    socket.on('data', () =>
      turns.take(() => {
        happened.push('served');
        socket.write('x');
      }),
    );
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const clients: Socket[] = [];
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      const socket = connect(port, '127.0.0.1');
      clients.push(socket);
      socket.write('a request');
      await once(socket, 'data');
    }),
  );
  expect(happened.indexOf('served')).toBe(40);
  expect(happened.filter((what) => what === 'served')).toHaveLength(40);
  for (const socket of clients) socket.destroy();
  server.close();
});

test('without anybody who connects, a request is served at once', () => {
  const done: string[] = [];
  new Turns().take(() => done.push('served'));
  expect(done).toEqual(['served']);
});

test('however many connect, requests don’t wait for ever', async () => {
  const turns = new Turns(20);
  const served: number[] = [];
  turns.come();
  const start = performance.now();
  turns.take(() => served.push(performance.now() - start));
  for (; served.length === 0 && performance.now() - start < 60_000; await turn()) turns.come();
  expect(served).toEqual([expect.any(Number)]);
  expect(served[0]).toBeGreaterThan(19);
});
