/** A server on this machine that notes every connection and what it was sent: who leaks a credential leaks it here. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Listener {
  readonly url: string;
  /** Connections so far, whether or not a request came over them. */
  connections(): number;
  /** Everything that was sent: headers and bodies. */
  received(): string;
  stop(): Promise<void>;
}

/** @param answer what to answer a request for this path with */
export async function startListener(
  answer: (path: string) => { readonly status: number; readonly body: string } = () => ({
    status: 403,
    body: '{}',
  }),
): Promise<Listener> {
  let connections = 0;
  const received: string[] = [];
  const server = createServer((request, response) => {
    received.push(`${request.method ?? ''} ${request.url ?? ''}\n${request.rawHeaders.join('\n')}\n`);
    request.on('data', (chunk: Buffer) => received.push(chunk.toString()));
    request.on('end', () => {
      const { status, body } = answer(request.url ?? '');
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    received: () => received.join(''),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
