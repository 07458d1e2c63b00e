// The servers that `npm run bench` measures against, as `npm run backends` installed them.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const work = process.env.SECRETS_BACKENDS_DIR ?? join(root, '.work');

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

async function start(command, args, isReady) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const end = Date.now() + 60_000;
  while (!(await isReady(output))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`${command} did not start`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { output: () => output, stop: () => void child.kill('SIGKILL') };
}

/** Vault with a KV v2 engine at secret/, or nothing when it is not installed. */
export async function startVault() {
  const program = join(work, 'vault-server');
  if (!existsSync(program)) return undefined;
  const address = `127.0.0.1:${await freePort()}`;
  const server = await start(program, ['-listen', address], (output) => /^root \S+$/m.test(output));
  const token = /^root (\S+)$/m.exec(server.output())[1];
  const call = (path, body) =>
    fetch(`http://${address}/v1/${path}`, {
      method: 'POST',
      headers: { 'X-Vault-Token': token },
      body: JSON.stringify(body),
    });
  await call('sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  // A new KV v2 mount upgrades itself for a moment and refuses writes meanwhile.
  const end = Date.now() + 10_000;
  while (!(await call('secret/data/ready', { data: {} })).ok)
    if (Date.now() > end) throw new Error('no KV engine');
  return { store: 'vault', env: { VAULT_ADDR: `http://${address}`, VAULT_TOKEN: token }, stop: server.stop };
}

/** moto, or nothing when it is not installed. */
export async function startAws() {
  const python = join(work, 'moto-venv/bin/python');
  if (!existsSync(python)) return undefined;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const script = join(root, 'tests/backends/moto/server.py');
  const server = await start(python, [script, '-H', '127.0.0.1', '-p', String(port)], () =>
    fetch(url).then(
      () => true,
      () => false,
    ),
  );
  const env = {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
  };
  return { store: 'aws', env, stop: server.stop };
}

/** A folder with a certificate for this machine, which is its own authority, and its key. */
function makeCertificate() {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-bench-server-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const files = ['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=secrets bench'];
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...[...files, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ],
    { stdio: 'pipe' },
  );
  return { folder, cert, key };
}

/** The Conjur server of the tests, in TLS under an authority of its own; it needs no installation. */
export async function startConjur() {
  const { folder, cert, key } = makeCertificate();
  const port = await freePort();
  const script = join(root, 'tests/backends/conjur/server.mjs');
  const args = [script, '--port', String(port), '--account', 'bench', '--cert', cert, '--key', key];
  const server = await start(process.execPath, args, (output) => /^ready .*$/m.test(output));
  const env = {
    CONJUR_APPLIANCE_URL: `https://127.0.0.1:${port}`,
    CONJUR_ACCOUNT: 'bench',
    CONJUR_CERT_FILE: cert,
    // What makes the platform's fetch believe it.
    NODE_EXTRA_CA_CERTS: cert,
    CONJUR_AUTHN_LOGIN: 'admin',
    CONJUR_AUTHN_API_KEY: JSON.parse(/^ready (.*)$/m.exec(server.output())[1]).apiKey,
  };
  const stop = () => {
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { store: 'conjur', env, stop };
}

/** The test double of Azure Key Vault, bundled since Node 20 runs no TypeScript; nothing without openssl. */
export async function startAzure() {
  const dir = join(root, 'bench/.built/azure-server');
  const bundle = await rolldown({
    input: join(root, 'tests/backends/azure.ts'),
    platform: 'node',
    logLevel: 'silent',
  });
  await bundle.write({ dir, format: 'esm', entryFileNames: 'server.mjs' });
  await bundle.close();
  const { startForBench, scenarioFiles } = await import(pathToFileURL(join(dir, 'server.mjs')).href);
  if (!scenarioFiles.every((path) => existsSync(path))) return undefined;
  const { env, stop } = await startForBench();
  return { store: 'azure', name: 'bench-value', env, stop };
}

/** The double of Google Secret Manager, over TLS as the service is; it comes with the packages. */
export async function startGcp() {
  const { folder, cert } = makeCertificate();
  const script = join(root, 'tests/backends/gcp/server.mjs');
  const server = await start(process.execPath, [script, '--folder', folder, '--port', '0'], (output) =>
    /^ready .*$/m.test(output),
  );
  const ports = JSON.parse(/^ready (.*)$/m.exec(server.output())[1]);
  const account = {
    email: 'bench@tests.iam.gserviceaccount.com',
    roles: ['roles/secretmanager.admin'],
    tokenUri: 'https://oauth2.googleapis.com/token',
  };
  const door = `http://127.0.0.1:${ports.plain}/_test/account`;
  const made = await fetch(door, { method: 'POST', body: JSON.stringify(account) });
  const file = join(folder, 'account.json');
  writeFileSync(file, await made.text());
  const env = {
    GOOGLE_APPLICATION_CREDENTIALS: file,
    GOOGLE_CLOUD_PROJECT: ports.project,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: `https://localhost:${ports.rest}`,
    NODE_EXTRA_CA_CERTS: cert,
    // What the script over gRPC needs for the same.
    GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: cert,
    GRPC_PORT: String(ports.grpc),
    REST_PORT: String(ports.rest),
  };
  const stop = () => {
    server.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { store: 'gcp', name: 'bench-value', env, stop };
}
