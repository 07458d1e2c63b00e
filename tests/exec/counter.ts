/** Counts what goes over the wire between the program and a real server. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Counter {
  readonly url: string;
  /** What was asked so far: an AWS operation, or method and path. */
  readonly calls: string[];
  close(): void;
}

/** Passes requests on unchanged, the Host included, which AWS requests are signed with. */
export async function countCallsTo(target: string): Promise<Counter> {
  const calls: string[] = [];
  const { hostname, port } = new URL(target);
  const server: Server = createServer((incoming, outgoing) => {
    const operation = incoming.headers['x-amz-target'];
    calls.push(
      typeof operation === 'string'
        ? operation.replace(/.*\./, '')
        : `${incoming.method ?? ''} ${incoming.url ?? ''}`,
    );
    const { method, url: path, headers } = incoming;
    const passed = request({ hostname, port, method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
