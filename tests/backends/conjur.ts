/** Starts the Conjur test server in TLS under an authority of its own, with a policy that the tests use. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import https from 'node:https';
import { startServer } from './server.ts';
import { type KeyPair, makeCertificate } from './tls.ts';

/** It is part of the project. */
export const scenarioFiles: readonly string[] = [];

export const ACCOUNT = 'acme';

export interface Conjur {
  readonly url: string;
  /** The server's certificate, which is its own authority, and its key. */
  readonly tls: KeyPair;
  /** PEM file of the authority. */
  readonly caFile: string;
  /** API keys by login: `admin`, `host/…`. */
  readonly keys: Readonly<Record<string, string>>;
  /** PEM of the key that authn-jwt/ci believes. */
  readonly jwtKey: string;
  /** The environment of the account's administrator, or of another login. */
  env(login?: string): Record<string, string>;
  /** A request with the administrator's token, for the tests' own preparations. */
  api(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<string>;
  policy(branch: string, text: string): Promise<void>;
  /** What did not fit the OpenAPI documents so far. */
  problems(): Promise<readonly string[]>;
  /** `METHOD URL STATUS` of each request since the last time. */
  log(): Promise<readonly string[]>;
  control(path: string, body?: string): Promise<string>;
  stop(): Promise<void>;
}

/** What is there at the start: hosts for the borders of what may be seen, and for each way to sign in. */
const POLICY = `
- !host stranger
- !host writer
- !host reader
- !policy { id: app, owner: !host writer }
- !policy
  id: shared
  body:
  - !variable { id: readable }
  - !variable { id: listed }
  - !variable { id: hidden }
  - !variable { id: writable }
- !permit { role: !host reader, privileges: [ read, execute ], resource: !variable shared/readable }
- !permit { role: !host reader, privileges: [ read ], resource: !variable shared/listed }
- !permit { role: !host reader, privileges: [ read, update ], resource: !variable shared/writable }
- !policy
  id: ci
  body:
  - !host
    id: builds
    annotations: { authn-jwt/ci/project: payments }
  - !host 123456789012/deployer
- !webservice conjur/authn-jwt/ci
- !webservice conjur/authn-iam/prod
- !permit { role: !host ci/builds, privileges: [ authenticate ], resource: !webservice conjur/authn-jwt/ci }
- !permit
  role: !host ci/123456789012/deployer
  privileges: [ authenticate ]
  resource: !webservice conjur/authn-iam/prod
`;

export async function startConjur(): Promise<Conjur> {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-conjur-'));
  const tls = makeCertificate();
  const [caFile, keyFile] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  writeFileSync(caFile, tls.cert);
  writeFileSync(keyFile, tls.key, { mode: 0o600 });
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const config = {
    jwt: {
      ci: {
        publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }),
        issuer: 'https://ci.example.com',
        audience: 'conjur',
        claim: 'sub',
        path: 'ci',
      },
    },
    iam: {
      AKIDEXAMPLE: { secret: 'an aws secret', token: 'a session', account: '123456789012', role: 'deployer' },
    },
  };
  const configFile = join(folder, 'config.json');
  writeFileSync(configFile, JSON.stringify(config));
  const server = await startServer({
    command: process.execPath,
    args: (port) => [
      fileURLToPath(new URL('conjur/server.mjs', import.meta.url)),
      ...['--port', `${port}`, '--account', ACCOUNT, '--config', configFile],
      ...['--cert', caFile, '--key', keyFile],
    ],
    ready: /^ready /m,
  });
  const ready = /^ready (.*)$/m.exec(server.output())?.[1] ?? '{}';
  const { control: controlPort, apiKey } = JSON.parse(ready) as { control: number; apiKey: string };
  const url = server.url.replace('http:', 'https:');
  const keys: Record<string, string> = { admin: apiKey };

  const send = (method: string, path: string, headers: Record<string, string>, body = ''): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = https.request(
        url + path,
        {
          method,
          headers: { ...headers, 'Content-Length': Buffer.byteLength(body) },
          ca: tls.cert,
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
          response.on('end', () => {
            const { statusCode = 0 } = response;
            if (statusCode < 400) resolve(text);
            else reject(new Error(`${method} ${path}: ${statusCode} ${text}`));
          });
        },
      );
      request.on('error', reject).end(body);
    });
  const api: Conjur['api'] = async (method, path, body, headers = {}) => {
    const token = await send(
      'POST',
      `/authn/${ACCOUNT}/admin/authenticate`,
      { 'Content-Type': 'text/plain', 'Accept-Encoding': 'base64' },
      apiKey,
    );
    return send(method, path, { ...headers, Authorization: `Token token="${token}"` }, body);
  };
  const control: Conjur['control'] = async (path, body) => {
    const response = await fetch(
      `http://127.0.0.1:${controlPort}${path}`,
      body === undefined ? {} : { method: 'POST', body },
    );
    return response.text();
  };
  const policy: Conjur['policy'] = async (branch, text) => {
    const path = `/policies/${ACCOUNT}/policy/${encodeURIComponent(branch)}`;
    const answer = await api('PATCH', path, text, { 'Content-Type': 'application/x-yaml' });
    const { created_roles: made } = JSON.parse(answer) as {
      created_roles: Record<string, { api_key: string }>;
    };
    for (const [id, { api_key: key }] of Object.entries(made)) {
      const [, kind, ...rest] = id.split(':');
      keys[kind === 'host' ? `host/${rest.join(':')}` : rest.join(':')] = key;
    }
  };
  try {
    await policy('root', POLICY);
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
  return {
    url,
    tls,
    caFile,
    keys,
    jwtKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    env: (login = 'admin') => ({
      CONJUR_APPLIANCE_URL: url,
      CONJUR_ACCOUNT: ACCOUNT,
      CONJUR_CERT_FILE: caFile,
      CONJUR_AUTHN_LOGIN: login,
      CONJUR_AUTHN_API_KEY: keys[login] ?? 'unknown',
    }),
    api,
    policy,
    problems: async () => JSON.parse(await control('/problems')) as string[],
    log: async () => JSON.parse(await control('/log')) as string[],
    control,
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function startForScenarios(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}> {
  const conjur = await startConjur();
  return { env: conjur.env(), stop: () => conjur.stop() };
}
