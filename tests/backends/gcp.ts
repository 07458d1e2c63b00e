/** Starts the double of Google Secret Manager in tests/backends/gcp, behind TLS of its own authority. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from './server.ts';
import { type KeyPair, makeCertificate } from './tls.ts';

const SCRIPT = fileURLToPath(new URL('gcp/server.mjs', import.meta.url));
/** It comes with the packages that are installed anyway. */
export const scenarioFiles: readonly string[] = [];

export type Env = Readonly<Record<string, string>>;

/** A service account and its key. */
export interface Account {
  readonly email: string;
  /** The key as a file. */
  readonly file: string;
  readonly key: Readonly<Record<string, string>>;
}

export interface Gcp {
  readonly project: string;
  /** The region that has an endpoint of its own. */
  readonly location: string;
  /** The server's certificate, which is its own authority, and the key. */
  readonly tls: KeyPair;
  /** The certificate as a file, for `ca` settings and NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** https://127.0.0.1:PORT of the global endpoint and of the token endpoints. */
  readonly url: string;
  readonly regionalUrl: string;
  readonly grpcUrl: string;
  /** host:port of the metadata server. */
  readonly metadata: string;
  /** A folder that goes when the server stops. */
  readonly folder: string;
  /** A new service account with these roles in the project; `tokenUri` is where its key asks for tokens. */
  account(name: string, roles: readonly string[], tokenUri?: string): Promise<Account>;
  /** One of the doors under /_test of server.mjs. */
  door<T = Readonly<Record<string, string>>>(name: string, body?: object): Promise<T>;
  /** Writes a JSON file into the folder. @returns its path */
  file(name: string, content: object): string;
  /** The environment in which an account reaches the global endpoint over REST. */
  env(account: Account): Env;
  stop(): Promise<void>;
}

/** Where Google's own key files ask for tokens; a key with this one signs its tokens itself. */
export const GOOGLE_TOKEN_URI = 'https://oauth2.googleapis.com/token';

export const ADMIN = ['roles/secretmanager.admin'];

export async function startGcp(): Promise<Gcp> {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-gcp-'));
  // Google's own names, too, for clients that come through a proxy.
  const hosts = ['secretmanager', 'oauth2', 'sts', 'iamcredentials', 'secretmanager.europe-west3.rep'];
  const tls = makeCertificate(...hosts.map((host) => `${host}.googleapis.com`));
  const caFile = join(folder, 'cert.pem');
  writeFileSync(caFile, tls.cert);
  writeFileSync(join(folder, 'key.pem'), tls.key, { mode: 0o600 });
  const server = await startServer({
    command: process.execPath,
    args: (port) => [SCRIPT, '--folder', folder, '--port', String(port)],
    ready: /^ready \{.*\}$/m,
  });
  const told = JSON.parse(/^ready (\{.*\})$/m.exec(server.output())?.[1] ?? '') as Record<string, string>;
  const door: Gcp['door'] = async (name, body = {}) => {
    const response = await fetch(`http://127.0.0.1:${told['plain']}/_test/${name}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${name}: ${response.status} ${server.output()}`);
    return (await response.json()) as never;
  };
  const url = `https://127.0.0.1:${told['rest']}`;
  const file: Gcp['file'] = (name, content) => {
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify(content), { mode: 0o600 });
    return path;
  };
  return {
    project: told['project'] ?? '',
    location: told['location'] ?? '',
    tls,
    caFile,
    url,
    regionalUrl: `https://127.0.0.1:${told['regional']}`,
    grpcUrl: `https://localhost:${told['grpc']}`,
    metadata: `127.0.0.1:${told['plain']}`,
    folder,
    door,
    file,
    account: async (name, roles, tokenUri = GOOGLE_TOKEN_URI) => {
      const email = `${name}@${told['project']}.iam.gserviceaccount.com`;
      const key = await door('account', { email, roles, tokenUri });
      return { email, key, file: file(`${name}.json`, key) };
    },
    env: ({ file: path }) => ({
      GOOGLE_APPLICATION_CREDENTIALS: path,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: url,
      NODE_EXTRA_CA_CERTS: caFile,
    }),
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function startForScenarios(): Promise<{ readonly env: Env; stop(): Promise<void> }> {
  const gcp = await startGcp();
  return { env: gcp.env(await gcp.account('scenarios', ADMIN)), stop: () => gcp.stop() };
}
