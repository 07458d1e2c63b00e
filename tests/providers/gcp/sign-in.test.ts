/** Every way to sign in, against token endpoints that check what they are given. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import { ADMIN, type Account, type Env } from '../../backends/gcp.ts';
import { type Bench, bytes, failure, now, readText, startBench } from './setup.ts';

let bench: Bench;
let admin: Account;
/** As `admin`, with a key that asks for tokens at the double's endpoint. */
let granted: Account;
/** A service account with rights and without a key. */
let target: string;

interface Given {
  readonly jwt: number;
  readonly refresh: number;
  readonly exchange: number;
  readonly impersonation: number;
  readonly metadata: number;
}
const given = async (): Promise<Given> => (await bench.gcp.door<{ given: Given }>('calls')).given;
/** What a call needs of the token endpoints. */
const spent = async (work: () => Promise<unknown>): Promise<Partial<Given>> => {
  const before = await given();
  await work();
  const after = await given();
  const kinds = Object.keys(after) as (keyof Given)[];
  return Object.fromEntries(
    kinds.filter((kind) => after[kind] > before[kind]).map((kind) => [kind, after[kind] - before[kind]]),
  );
};
const reads = async (store: Provider): Promise<void> => {
  expect(await readText(store, 'known')).toBe('v');
  expect(await readText(store, 'known')).toBe('v');
};
const withFile = (content: object, settings: StoreSettings = {}): Provider =>
  bench.found(
    { GOOGLE_APPLICATION_CREDENTIALS: bench.gcp.file(`${Math.random()}.json`, content) },
    undefined,
    {
      project: bench.gcp.project,
      ...settings,
    },
  );
const impersonationUrl = (email: string): string =>
  `${bench.gcp.url}/v1/projects/-/serviceAccounts/${email}:generateAccessToken`;
/** A credential file of workload identity federation whose subject token lies in a file. */
const federation = async (subject: string, more: object = {}): Promise<Record<string, unknown>> => {
  const { token, audience } = await bench.gcp.door('subject', { subject });
  const file = join(bench.gcp.folder, `${subject}.jwt`);
  writeFileSync(file, token ?? '');
  return {
    type: 'external_account',
    audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${bench.gcp.url}/v1/token`,
    credential_source: { file },
    ...more,
  };
};
const POOL = 'principal://iam.googleapis.com/projects/1234/locations/global/workloadIdentityPools/ci/subject';

beforeAll(async () => {
  bench = await startBench();
  admin = await bench.gcp.account('admin', ADMIN);
  granted = await bench.gcp.account('granted', ADMIN, `${bench.gcp.url}/token`);
  target = (await bench.gcp.account('target', ADMIN)).email;
  await bench.store(admin).put('known', { value: bytes('v') }, now());
});
afterAll(() => bench.stop());

describe('a service account’s key', () => {
  test('signs its own tokens: no call but those for secrets', async () => {
    const store = bench.found({ GOOGLE_APPLICATION_CREDENTIALS: admin.file });
    expect(await spent(() => reads(store))).toEqual({});
    expect(await store.identity(now())).toMatchObject({ principal: admin.email, source: admin.file });
  });

  test('with a token endpoint of its own gets one token there for all calls', async () => {
    const store = bench.found({ GOOGLE_APPLICATION_CREDENTIALS: granted.file });
    expect(await spent(() => reads(store))).toEqual({ jwt: 1 });
  });

  test('is found in the settings, in GOOGLE_CREDENTIALS, and in gcloud’s folder', async () => {
    await reads(bench.found({}, undefined, { credentials: admin.file }));
    await reads(bench.found({ GOOGLE_CREDENTIALS: JSON.stringify(admin.key) }));
    await reads(bench.found({ GOOGLE_CREDENTIALS: admin.file }));
    await reads(bench.found({ CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE: admin.file }));
    const home = join(bench.gcp.folder, 'home');
    const folder = join(home, '.config', 'gcloud');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'application_default_credentials.json'), JSON.stringify(admin.key));
    const store = bench.found({}, home);
    await reads(store);
    expect((await store.identity(now())).source).toBe('gcloud’s application default credentials');
    await reads(bench.found({ CLOUDSDK_CONFIG: folder }));
  });

  test('that is revoked is Unauthenticated, by name, whether it signs tokens or gets them', async () => {
    for (const [key, other] of [
      [admin.key, granted.key],
      [granted.key, admin.key],
    ] as const) {
      const store = withFile({ ...key, private_key_id: 'revoked', private_key: other['private_key'] });
      expect(await failure(readText(store, 'known'))).toMatch(
        new RegExp(`^Unauthenticated: .*${key['client_email']}.*gcloud auth application-default login`),
      );
    }
  });
});

test('a user’s refresh token gets access tokens', async () => {
  const { token } = await bench.gcp.door('refresh', { email: 'jane@example.com' });
  await bench.gcp.door('grant', { principal: 'user:jane@example.com', roles: ADMIN });
  const user = {
    type: 'authorized_user',
    client_id: 'id',
    client_secret: 'client-hush',
    refresh_token: token,
    token_uri: `${bench.gcp.url}/token`,
  };
  expect(await spent(() => reads(withFile(user)))).toEqual({ refresh: 1 });
  expect(await failure(readText(withFile({ ...user, refresh_token: 'stale' }), 'known'))).toMatch(
    /^Unauthenticated: sign-in of .* failed \(invalid_grant\)/,
  );
});

test.each(['CLOUDSDK_AUTH_ACCESS_TOKEN', 'GOOGLE_OAUTH_ACCESS_TOKEN'])(
  '%s is used as it is',
  async (name) => {
    const { token = '' } = await bench.gcp.door('token', { principal: `serviceAccount:${admin.email}` });
    const store = bench.found({ [name]: token, GOOGLE_CLOUD_PROJECT: bench.gcp.project });
    await reads(store);
    expect((await store.identity(now())).principal).toContain(name);
    const stale = bench.found({ [name]: 'ya29.stale', GOOGLE_CLOUD_PROJECT: bench.gcp.project });
    expect(await failure(readText(stale, 'known'))).toMatch(new RegExp(`^Unauthenticated: .*${name}`));
    const file = join(bench.gcp.folder, 'token');
    writeFileSync(file, `${token}\n`);
    await reads(
      bench.found({ CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: file, GOOGLE_CLOUD_PROJECT: bench.gcp.project }),
    );
  },
);

describe('workload identity federation', () => {
  test('exchanges a subject token, and reads as the federated identity', async () => {
    await bench.gcp.door('grant', { principal: `${POOL}/job-1`, roles: ADMIN });
    const store = withFile(await federation('job-1'));
    expect(await spent(() => reads(store))).toEqual({ exchange: 1 });
    expect((await store.identity(now())).principal).toMatch(
      /federated identity of .*workloadIdentityPools\/ci/,
    );
    expect(await failure(readText(withFile(await federation('job-2')), 'known'))).toMatch(/^Denied/);
  });

  test('becomes the service account that its file names', async () => {
    await bench.gcp.door('creator', { target, principal: `${POOL}/job-3` });
    const file = await federation('job-3', { service_account_impersonation_url: impersonationUrl(target) });
    const store = withFile(file);
    expect(await spent(() => reads(store))).toEqual({ exchange: 1, impersonation: 1 });
    expect((await store.identity(now())).principal).toBe(target);
    const other = await federation('job-4', { service_account_impersonation_url: impersonationUrl(target) });
    expect(await failure(readText(withFile(other), 'known'))).toMatch(
      /^Denied: may not become target@.*roles\/iam\.serviceAccountTokenCreator/,
    );
  });

  test('gets its subject token from a URL, or from a program that the environment allows', async () => {
    await bench.gcp.door('grant', { principal: `${POOL}/job-6`, roles: ADMIN });
    const file = await federation('job-6');
    const { token } = await bench.gcp.door('subject', { subject: 'job-6' });
    const source = createServer((request, response) => {
      const known = request.headers['x-header'] === 'given';
      response.writeHead(known ? 200 : 403, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ value: token }));
    });
    await new Promise<void>((resolve) => source.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(source.address() as AddressInfo).port}`;
    const format = { type: 'json', subject_token_field_name: 'value' };
    const headers = { 'x-header': 'given' };
    const byUrl = { ...file, credential_source: { url, headers, format } };
    expect(await spent(() => reads(withFile(byUrl)))).toEqual({ exchange: 1 });
    await new Promise((resolve) => source.close(resolve));
    // In the clear only from this machine or its cloud's metadata server.
    const clear = { ...file, credential_source: { url: 'http://192.0.2.1/token', format } };
    expect(await failure(readText(withFile(clear), 'known'))).toMatch(
      /^Usage: .*192\.0\.2\.1 over plain http/,
    );

    const program = join(bench.gcp.folder, 'program.sh');
    const answer = {
      version: 1,
      success: true,
      token_type: 'urn:ietf:params:oauth:token-type:id_token',
      id_token: token,
      expiration_time: Math.floor(Date.now() / 1000) + 600,
    };
    writeFileSync(program, `#!/bin/sh\necho '${JSON.stringify(answer)}'\n`, { mode: 0o755 });
    const byProgram = {
      ...file,
      credential_source: { executable: { command: program, timeout_millis: 10_000 } },
    };
    expect(await failure(readText(withFile(byProgram), 'known'))).toMatch(/^Unauthenticated/);
    process.env['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES'] = '1';
    try {
      expect(await spent(() => reads(withFile(byProgram)))).toEqual({ exchange: 1 });
    } finally {
      delete process.env['GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES'];
    }
  });

  test('of people (workforce) gets tokens by refresh', async () => {
    await bench.gcp.door('grant', { principal: 'user:joe@example.com', roles: ADMIN });
    const { token } = await bench.gcp.door('refresh', { email: 'joe@example.com' });
    const person = {
      type: 'external_account_authorized_user',
      audience: '//iam.googleapis.com/locations/global/workforcePools/staff/providers/sso',
      client_id: 'id',
      client_secret: 'client-hush',
      refresh_token: token,
      token_url: `${bench.gcp.url}/v1/oauthtoken`,
    };
    expect(await spent(() => reads(withFile(person)))).toEqual({ refresh: 1 });
  });

  test('with a subject token that the pool refuses is Unauthenticated', async () => {
    const file = await federation('job-5');
    writeFileSync((file['credential_source'] as { file: string }).file, 'not.a.token');
    expect(await failure(readText(withFile(file), 'known'))).toMatch(/^Unauthenticated: .*\(invalid_grant\)/);
    const missing = { ...file, credential_source: { file: '/nonexistent/token' } };
    expect(await failure(readText(withFile(missing), 'known'))).toMatch(/^Unauthenticated/);
  });
});

describe('impersonation', () => {
  test('by setting, by gcloud’s variable, and by a credentials file', async () => {
    await bench.gcp.door('creator', { target, principal: `serviceAccount:${granted.email}` });
    const endpoint = { CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: bench.gcp.url };
    const base: Env = { GOOGLE_APPLICATION_CREDENTIALS: granted.file, ...endpoint };
    const stores = [
      bench.found(base, undefined, { impersonate: target }),
      bench.found({ ...base, CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT: target }),
      withFile({
        type: 'impersonated_service_account',
        service_account_impersonation_url: impersonationUrl(target),
        source_credentials: granted.key,
      }),
    ];
    for (const store of stores) {
      expect(await spent(() => reads(store))).toMatchObject({ jwt: 1, impersonation: 1 });
      expect((await store.identity(now())).principal).toBe(target);
    }
    const { token = '' } = await bench.gcp.door('token', { principal: `serviceAccount:${granted.email}` });
    const env = { CLOUDSDK_AUTH_ACCESS_TOKEN: token, GOOGLE_CLOUD_PROJECT: bench.gcp.project, ...endpoint };
    expect(await spent(() => reads(bench.found(env, undefined, { impersonate: target })))).toEqual({
      impersonation: 1,
    });
  });

  test('of an account that may not be become is Denied; of what is no account, Usage', async () => {
    const env = {
      GOOGLE_APPLICATION_CREDENTIALS: granted.file,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: bench.gcp.url,
    };
    expect(
      await failure(readText(bench.found(env, undefined, { impersonate: admin.email }), 'known')),
    ).toMatch(/^Denied: may not become admin@.*granted\.json, impersonating/);
    for (const impersonate of ['nobody', 'a@b/../../x', 'a@b,', 'x:generateAccessToken?@y'])
      expect(await failure(readText(bench.found(env, undefined, { impersonate }), 'known'))).toMatch(
        /^Usage/,
      );
  });
});

test('a machine’s own service account signs in by the metadata server', async () => {
  const home = join(bench.gcp.folder, 'empty-home');
  const env = { GCE_METADATA_HOST: bench.gcp.metadata };
  const none = /^Unauthenticated: no Google credential; sign in with `gcloud auth application-default login`/;
  // The library's client reads this one from the process.
  Object.assign(process.env, env);
  try {
    expect(await failure(readText(bench.found(env, home), 'known'))).toMatch(none);
    await bench.gcp.door('machine', { email: admin.email });
    const store = bench.found(env, home);
    expect(await spent(() => reads(store))).toEqual({ metadata: 1 });
    expect(await store.identity(now())).toEqual({
      principal: admin.email,
      source: 'the metadata server',
      details: { project: bench.gcp.project },
    });
    const off = { ...env, METADATA_SERVER_DETECTION: 'none' };
    expect(await failure(readText(bench.found(off, home), 'known'))).toMatch(none);
    const other = { GCE_METADATA_HOST: new URL(bench.gcp.url).host };
    expect(await failure(readText(bench.found(other, home), 'known'))).toMatch(none);
  } finally {
    delete process.env['GCE_METADATA_HOST'];
  }
});
