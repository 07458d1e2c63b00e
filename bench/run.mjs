// `npm run bench`: start-up of the shipped program, side by side with bare node and with each SDK's own shortest
// script, bundled the same way. The contestants of a group take turns, so that a machine that changes speed
// changes all of them; printed are medians and the median of the turn-by-turn ratios. Nothing is asserted here
// but that every contestant did its work.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { rolldown } from 'rolldown';
import { startAws, startAzure, startConjur, startGcp, startVault } from './backends.mjs';
import { measureRedaction } from './redaction.mjs';

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '25' },
    json: { type: 'boolean' },
    // Beginning of the titles of the clouds that are measured: `--only 'get on gcp'`.
    only: { type: 'string' },
  },
});
const runs = Number(flags.runs);
const root = new URL('..', import.meta.url).pathname;
const program = join(root, 'bin/secrets');
if (!existsSync(join(root, 'dist/main.js'))) throw new Error('build first: npm run build');

const home = await mkdtemp(join(tmpdir(), 'secrets-bench-'));
const baseEnv = { PATH: process.env.PATH, HOME: home, SECRETS_LOCAL_KEY_METHOD: 'key-file' };
const results = [];

/** Runs one command to its end. */
function run(args, env, input) {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'pipe', 'pipe'], cwd: home });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) => {
      const ms = Number(process.hrtime.bigint() - started) / 1e6;
      resolve({ ms, code, stdout, stderr });
    });
    child.stdin.end(input ?? '');
  });
}

/** Calls that make something durable while a command runs; `undefined` where strace is not there to count them. */
function countSyncs(args, env) {
  const words = ['-f', '-qq', '-e', 'trace=fsync,fdatasync', '-e', 'signal=none', process.execPath, ...args];
  const { status, stderr } = spawnSync('strace', words, { env, cwd: home });
  return status === 0
    ? String(stderr)
        .split('\n')
        .filter((line) => /sync\(/.test(line)).length
    : undefined;
}

/** What SECRETS_TRUSTED says of a file: a project's file must be trusted to switch the log off. */
function sha256(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Times the contestants in turn; the first is what the others are measured against. */
async function compare(title, bar, contestants) {
  const times = contestants.map(() => []);
  for (let turn = -2; turn < runs; turn += 1) {
    for (const [index, { name, args, env = baseEnv, expect }] of contestants.entries()) {
      const { ms, code, stdout, stderr } = await run(args, env);
      if (code !== 0 || (expect !== undefined && stdout !== expect)) {
        throw new Error(`${title}: ${name} did not do its work (exit ${code}): ${stderr}`);
      }
      if (turn >= 0) times[index].push(ms);
    }
  }
  for (const [index, { name }] of contestants.entries()) {
    const ratios = times[index].map((ms, turn) => ms / times[0][turn]);
    results.push({
      title,
      name,
      medianMs: median(times[index]),
      ratio: median(ratios),
      bar: index === 0 ? undefined : bar,
    });
  }
}

/** What a running agent saves. The bar is half of what it costs without one. */
async function compareAgent(reference, env) {
  const started = await run([program, 'agent', 'start', '--detach', '--fresh', '10m'], env);
  if (started.code !== 0) throw new Error(`the agent did not start: ${started.stderr}`);
  try {
    const get = { args: [program, 'get', reference], env, expect: 'the-value' };
    await compare('get on aws, through the agent', 0.5, [
      { ...get, name: 'SECRETS_AGENT=0 secrets get', env: { ...env, SECRETS_AGENT: '0' } },
      { ...get, name: 'secrets get' },
    ]);
  } finally {
    await run([program, 'agent', 'stop'], env);
  }
}

/** Bundles a script as the program itself is bundled. */
async function bundleScript(name, source) {
  // Beside the sources, so that packages are found; removed at the end.
  const dir = join(root, 'bench/.built');
  await mkdir(dir, { recursive: true });
  const entry = join(dir, `${name}.mjs`);
  await writeFile(join(dir, 'package.json'), '{"type":"commonjs"}');
  await writeFile(entry, source);
  const bundle = await rolldown({
    input: entry,
    platform: 'node',
    resolve: { mainFields: ['module', 'main'] },
    logLevel: 'silent',
  });
  await bundle.write({ dir: join(dir, name), format: 'cjs', entryFileNames: 'script.cjs', minify: true });
  await bundle.close();
  return join(dir, name, 'script.cjs');
}

const awsScript = `
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
const client = new SecretsManagerClient({});
client.send(new GetSecretValueCommand({ SecretId: 'bench/value' })).then((answer) => {
  process.stdout.write(answer.SecretString);
});
`;
const vaultScript = `
import vault from 'node-vault';
const client = vault({ apiVersion: 'v1', endpoint: process.env.VAULT_ADDR, token: process.env.VAULT_TOKEN });
client.read('secret/data/bench/value').then((answer) => {
  process.stdout.write(answer.data.data.value);
});
`;
const conjurScript = `
const { CONJUR_APPLIANCE_URL: url, CONJUR_AUTHN_LOGIN: login, CONJUR_AUTHN_API_KEY: key } = process.env;
const signIn = fetch(url + '/authn/bench/' + encodeURIComponent(login) + '/authenticate', {
  method: 'POST', body: key, headers: { 'Content-Type': 'text/plain', 'Accept-Encoding': 'base64' },
});
signIn.then((answer) => answer.text()).then(async (token) => {
  const headers = { Authorization: 'Token token="' + token + '"' };
  const answer = await fetch(url + '/secrets/bench/variable/bench%2Fvalue', { headers });
  process.stdout.write(await answer.text());
});
`;
const azureScript = `
import { ClientSecretCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
const { AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_KEYVAULT_URL } = process.env;
const credential = new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET);
new SecretClient(AZURE_KEYVAULT_URL, credential).getSecret('bench-value').then((secret) => {
  process.stdout.write(secret.value);
});
`;
// The client as its documentation starts it, over gRPC, and the same over REST.
const gcpScript = (options) => `
import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
const client = new SecretManagerServiceClient({ apiEndpoint: 'localhost', ${options} });
const name = 'projects/' + process.env.GOOGLE_CLOUD_PROJECT + '/secrets/bench-value/versions/latest';
client.accessSecretVersion({ name }).then(([answer]) => {
  process.stdout.write(answer.payload.data);
  return client.close();
});
`;
const gcpScripts = {
  'over gRPC': gcpScript('port: Number(process.env.GRPC_PORT)'),
  'over REST': gcpScript('port: Number(process.env.REST_PORT), fallback: true'),
};

const closing = [];
let redaction = [];
try {
  redaction = await measureRedaction(root, home);
  const put = await run([program, 'put', 'bench/value'], baseEnv, 'the-value');
  if (put.code !== 0) throw new Error(`put on local failed: ${put.stderr}`);
  const bare = { name: 'node -e 0', args: ['-e', '0'] };
  await compare('start', 1.25, [bare, { name: 'secrets --version', args: [program, '--version'] }]);
  await compare('help', undefined, [bare, { name: 'secrets --help', args: [program, '--help'] }]);
  await compare('get on local', 1.6, [
    bare,
    { name: 'secrets get', args: [program, 'get', 'bench/value'], expect: 'the-value' },
  ]);

  // What policies cost: looked for where there are none, and decided where there is a file.
  const policed = [];
  for (const [folder, name] of [
    ['plain', 'secrets get, no policy'],
    ['policed', 'secrets get, with a policy'],
  ]) {
    const config = join(home, folder, 'secrets.yaml');
    await mkdir(join(home, folder), { mode: 0o700 });
    await writeFile(config, '{}\n');
    const env = { ...baseEnv, SECRETS_CONFIG: config };
    policed.push({ name, args: [program, 'get', 'bench/value'], env, expect: 'the-value' });
  }
  await writeFile(
    join(home, 'policed', 'secrets.policy.cedar'),
    'permit (principal, action == Action::"read", resource in Prefix::"local://bench/") when { context.hour < 24 };\n',
  );
  await compare('get on local, policies', undefined, policed);

  // What records cost: each mode in a log of its own, so that none has to note that it was switched.
  const auditing = [];
  for (const mode of ['off', 'best-effort', 'required']) {
    const config = join(home, `audit-${mode}.yaml`);
    await writeFile(config, `audit: { log: ${mode} }\n`);
    const env = {
      ...baseEnv,
      SECRETS_CONFIG: config,
      SECRETS_TRUSTED: sha256(config),
      XDG_STATE_HOME: join(home, `state-${mode}`),
    };
    const args = [program, 'get', 'bench/value'];
    await run(args, env);
    const syncs = countSyncs(args, env);
    const counted = syncs === undefined ? '' : ` (${syncs} fsync)`;
    auditing.push({ name: `audit.log: ${mode}${counted}`, args, env, expect: 'the-value' });
  }
  await compare('get on local, with a secrets.yaml that says how accesses are recorded', undefined, auditing);

  for (const { title, start, source, own = "the SDK's ten-line script" } of [
    { title: 'get on aws', start: startAws, source: awsScript },
    { title: 'get on azure', start: startAzure, source: azureScript },
    { title: 'get on vault', start: startVault, source: vaultScript },
    { title: 'get on conjur', start: startConjur, source: conjurScript, own: 'a ten-line script with fetch' },
    { title: 'get on gcp, to gRPC', start: startGcp, source: gcpScripts['over gRPC'] },
    { title: 'get on gcp, to REST', start: startGcp, source: gcpScripts['over REST'] },
  ]) {
    if (flags.only !== undefined && !title.startsWith(flags.only)) continue;
    const backend = await start();
    if (backend === undefined) {
      results.push({ title, name: 'not measured: run `npm run backends` first' });
      continue;
    }
    closing.push(backend.stop);
    const env = { ...baseEnv, ...backend.env };
    const reference = `${backend.store}://${backend.name ?? 'bench/value'}`;
    const written = await run([program, 'put', reference], env, 'the-value');
    if (written.code !== 0) throw new Error(`put on ${backend.store} failed: ${written.stderr}`);
    const script = await bundleScript(backend.store, source);
    await compare(title, 1.15, [
      { name: `${own}, bundled`, args: [script], env, expect: 'the-value' },
      {
        name: 'secrets get',
        args: [program, 'get', reference],
        env,
        expect: 'the-value',
      },
      { name: 'node -e 0', args: ['-e', '0'], env },
    ]);
    if (backend.store === 'aws') await compareAgent(reference, env);
  }
} finally {
  for (const stop of closing) stop();
  await rm(home, { recursive: true, force: true });
  await rm(join(root, 'bench/.built'), { recursive: true, force: true });
}

if (flags.json) {
  process.stdout.write(`${JSON.stringify({ node: process.version, runs, results, redaction }, null, 2)}\n`);
} else {
  process.stdout.write(`node ${process.version}, ${runs} turns, medians of whole processes\n`);
  let last = '';
  for (const { title, name, medianMs, ratio, bar } of results) {
    if (title !== last) process.stdout.write(`\n${title}\n`);
    last = title;
    const figures =
      medianMs === undefined
        ? ''
        : `${medianMs.toFixed(1).padStart(8)} ms  ${ratio.toFixed(2).padStart(5)} x`;
    process.stdout.write(`  ${name.padEnd(36)}${figures}${bar === undefined ? '' : `  (bar ${bar} x)`}\n`);
  }
  process.stdout.write('\nmasked output\n');
  for (const { count, buildMs, mbPerSecond } of redaction) {
    const figures = `${mbPerSecond.toFixed(0).padStart(8)} MB/s  (prepared in ${buildMs.toFixed(0)} ms)`;
    process.stdout.write(`  ${`${count} values of 32 characters`.padEnd(36)}${figures}\n`);
  }
}
