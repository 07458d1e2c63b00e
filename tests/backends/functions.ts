/**
 * Lambda functions for rotations, as far as Secrets Manager sees them: it calls one by its ARN with an event for each of
 * four steps, and the function does the rest through the service's API, with credentials of its own.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RotationEvent {
  readonly Step: 'createSecret' | 'setSecret' | 'testSecret' | 'finishSecret';
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}

/** A step that throws has failed. */
export type RotationFunction = (event: RotationEvent) => Promise<void>;

export interface RotationFunctions {
  /** What moto calls: URL/ARN. */
  readonly url: string;
  /** Steps that were called, in order. */
  readonly calls: RotationEvent[];
  define(arn: string, work: RotationFunction): void;
  stop(): Promise<void>;
}

export async function startFunctions(): Promise<RotationFunctions> {
  const known = new Map<string, RotationFunction>();
  const calls: RotationEvent[] = [];
  const server = createServer((request, response) => {
    const work = known.get(decodeURIComponent((request.url ?? '').slice(1)));
    const answer = (status: number, text = ''): void => void response.writeHead(status).end(text);
    if (work === undefined) return answer(404);
    // Whether it is there, and may be called.
    if (request.method === 'GET') return answer(200);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const event = JSON.parse(Buffer.concat(chunks).toString()) as RotationEvent;
      calls.push(event);
      work(event).then(
        () => answer(200),
        (thrown: unknown) => answer(500, thrown instanceof Error ? thrown.message : 'failed'),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    define: (arn, work) => void known.set(arn, work),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const functionArn = (name: string): string => `arn:aws:lambda:eu-west-1:123456789012:function:${name}`;
