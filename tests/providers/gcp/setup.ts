/** What the tests of Google Secret Manager share: stores on the double, and the service's own client beside them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { callbackify } from 'node:util';
import { v1 } from '@google-cloud/secret-manager';
import * as gax from 'google-gax';
import type { SecretsError } from '../../../src/core/errors.ts';
import { open } from '../../../src/providers/gcp/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { ProviderContext } from '../../../src/providers/descriptor.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import { type Account, type Env, type Gcp, startGcp } from '../../backends/gcp.ts';
import { contextFor } from '../../contract/suite.ts';

export const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
export const bytes = (text: string): Uint8Array => Buffer.from(text);

export async function all<T>(items: AsyncIterable<T> | undefined): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items ?? []) found.push(item);
  return found;
}

export async function readText(
  provider: Provider,
  name: string,
  more: { version?: string; stage?: string } = {},
): Promise<string> {
  const [result] = await provider.get([{ name, ...more }], now());
  if (result?.ok !== true) throw result?.error ?? new Error('no result');
  return Buffer.from(result.secret.value).toString();
}

/** The error of a call that must fail, as one text with its kind and hint. */
export async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (thrown) {
    const { kind, message, hint } = thrown as SecretsError;
    return `${kind}: ${message}; ${hint ?? ''}`;
  }
  return 'no error';
}

export interface Bench {
  readonly gcp: Gcp;
  /** A store that signs in with an account's key file. */
  store(account: Account, settings?: StoreSettings, more?: Partial<ProviderContext>): Provider;
  /** A store that is configured by its environment and a home folder alone. */
  found(env: Env, home?: string, settings?: StoreSettings): Provider;
  /** Google's own client over gRPC, to see what others see. */
  native(account: Account): v1.SecretManagerServiceClient;
  stop(): Promise<void>;
}

export async function startBench(transport: 'rest' | 'grpc' = 'rest'): Promise<Bench> {
  const gcp = await startGcp();
  const closing: (() => Promise<unknown>)[] = [];
  const keep = (provider: Provider): Provider => {
    closing.push(() => provider.close());
    return provider;
  };
  const endpoint = transport === 'grpc' ? gcp.grpcUrl : gcp.url;
  return {
    gcp,
    store: (account, settings = {}, more = {}) => {
      const base = { transport, endpoint, ca: gcp.caFile, credentials: account.file };
      return keep(open({ ...base, ...settings }, { ...contextFor({}, '/nonexistent'), ...more }));
    },
    found: (env, home = '/nonexistent', settings = {}) =>
      keep(open({ transport, endpoint, ca: gcp.caFile, ...settings }, contextFor(env, home))),
    native: (account) => {
      // It looks for a metadata server even so, and prints a warning where there is none.
      process.env['METADATA_SERVER_DETECTION'] = 'none';
      const { credentials } = gax.grpc;
      const signed = callbackify(async () => {
        const { token } = await gcp.door('token', { principal: `serviceAccount:${account.email}` });
        const metadata = new gax.grpc.Metadata();
        metadata.set('authorization', `Bearer ${token}`);
        return metadata;
      });
      const perCall = credentials.createFromMetadataGenerator((_, done) => signed(done));
      const channel = credentials.createSsl(Buffer.from(gcp.tls.cert));
      const client = new v1.SecretManagerServiceClient({
        apiEndpoint: 'localhost',
        port: Number(new URL(gcp.grpcUrl).port),
        sslCreds: credentials.combineChannelCredentials(channel, perCall),
        projectId: gcp.project,
      });
      closing.push(() => client.close());
      return client;
    },
    stop: async () => {
      await Promise.all(closing.map((close) => close()));
      await gcp.stop();
    },
  };
}

export interface Middleman {
  readonly url: string;
  /** Requests so far, as `GET /v1/…`. */
  readonly seen: string[];
  stop(): Promise<void>;
}

/**
 * Stands before the REST endpoint. `before` is asked of each request, in order: it may do something first, and says
 * `cut` to break the connection before the service sees it, `lose` to break it in place of the answer.
 */
export async function startMiddleman(
  gcp: Gcp,
  before: (
    request: string,
    index: number,
  ) => Promise<'cut' | 'lose' | undefined> | 'cut' | 'lose' | undefined,
): Promise<Middleman> {
  const seen: string[] = [];
  const agent = new https.Agent({ ca: gcp.tls.cert, keepAlive: false });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const line = `${request.method} ${request.url}`;
    const verdict = await before(line, seen.push(line) - 1);
    if (verdict === 'cut') {
      request.socket.destroy();
      return;
    }
    const { method = '', url = '', headers } = request;
    const forwarded = https.request(gcp.url + url, { method, headers, agent }, (answer) => {
      if (verdict === 'lose') {
        answer.resume();
        answer.on('end', () => request.socket.destroy());
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => request.socket.destroy());
    forwarded.end(Buffer.concat(pieces));
  };
  const server = https.createServer(gcp.tls, (request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
