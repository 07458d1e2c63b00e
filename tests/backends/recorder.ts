/** A small proxy before a real server: it writes down what passes, and may answer in the server's place. */
import { createServer, request as send, type IncomingHttpHeaders } from 'node:http';

export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/**
 * What happens to a request: `undefined` passes it on, an answer is given in the server's place, and `lost`
 * passes it on and breaks the connection instead of answering.
 */
export type Intercept = (
  request: Recorded,
) =>
  | 'lost'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  | undefined;

export interface Recorder {
  readonly url: string;
  readonly requests: Recorded[];
  intercept: Intercept;
  stop(): Promise<void>;
}

export async function startRecorder(target: string): Promise<Recorder> {
  const { hostname, port } = new URL(target);
  const server = createServer((incoming, outgoing) => {
    const seen = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers };
    recorder.requests.push(seen);
    const answer = recorder.intercept(seen);
    if (typeof answer === 'object') {
      incoming.resume();
      outgoing.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
      outgoing.end(answer.body === undefined ? '' : JSON.stringify(answer.body));
      return;
    }
    const passed = send(
      { hostname, port, method: seen.method, path: seen.path, headers: seen.headers },
      (response) => {
        if (answer === 'lost') {
          response.resume().on('end', () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(outgoing);
      },
    );
    passed.on('error', () => incoming.socket.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const recorder: Recorder = {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    requests: [],
    intercept: () => undefined,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return recorder;
}
