// Leaves V8's compiled form of the bundle in dist/code-cache, for the version of Node that builds: see
// bin/secrets. V8 compiles a function when it is first called, so the program runs its usual commands here, on a
// store in a temporary folder and on services that answer with an error, or for Google with a value, since reading
// its answer is much of the work. What it compiled is kept.
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const recorder = fileURLToPath(new URL('record-scripts.cjs', import.meta.url));

/** @param {string} root folder of the package, with the bundle in dist/ */
export async function makeCodeCache(root) {
  const cache = join(root, 'dist/code-cache', `${process.version}-${process.arch}`);
  const work = await mkdtemp(join(tmpdir(), 'secrets-build-'));
  const server = createServer((request, response) => {
    request.resume();
    const google = /^(.*):access\?/.exec(request.url ?? '');
    const value = google && { name: google[1], payload: { data: 'eA==' } };
    response.writeHead(google ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value ?? {}));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    PATH: process.env.PATH,
    HOME: work,
    SECRETS_LOCAL_KEY_METHOD: 'key-file',
    AWS_ENDPOINT_URL: url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'build',
    AWS_SECRET_ACCESS_KEY: 'build',
    VAULT_ADDR: url,
    VAULT_TOKEN: 'build',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: url,
    GOOGLE_CREDENTIALS: serviceAccount(),
  };
  // The proxy, which is none, keeps the names of Azure's hosts on this machine.
  const azure = {
    HTTPS_PROXY: url,
    AZURE_KEYVAULT_NAME: 'build',
    AZURE_TENANT_ID: 'build',
    AZURE_CLIENT_ID: 'build',
    AZURE_CLIENT_SECRET: 'build',
  };
  const runs = [
    ['get a/b'],
    // With the parser, and little else: a collection of garbage in a longer run takes compiled functions away.
    ['get --newline a/b'],
    ['get aws://a/b'],
    ['get vault://a/b'],
    ['get azure://a', undefined, azure],
    ['get gcp://a'],
    ['put a/b', 'value'],
    ['list'],
    ['exec --no-redact -e A=a/b -- true'],
    ['exec --redact -e A=a/b -- true'],
    ['env -e A=a/b'],
    ['env --config project.yaml'],
    ['--help'],
    ['--version'],
  ];
  try {
    await mkdir(cache, { recursive: true });
    await run(root, ['put', 'a/b'], 'value', env, work);
    await writeFile(
      join(work, 'project.yaml'),
      'stores:\n  team: { provider: vault, mount: kv }\nenv:\n  A: local://a/b\n  B: { ref: a/b, as: file }\n  C: text\n',
    );
    for (const [index, [words, input, more]] of runs.entries()) {
      const out = join(work, `run-${index}`);
      await mkdir(out);
      await run(root, words.split(' '), input, { ...env, ...more, RECORD_TO: out }, work);
      // The first command that needs a chunk says which of its functions are worth keeping.
      for (const file of await readdir(out)) {
        if (!existsSync(join(cache, file))) await copyFile(join(out, file), join(cache, file));
      }
    }
    await keepThroughAgent({ root, env, work, cache });
    const kept = await readdir(cache);
    if (!kept.some((file) => file.startsWith('start-')))
      throw new Error('the program ran and compiled nothing');
  } finally {
    server.close();
    server.closeAllConnections();
    await rm(work, { recursive: true, force: true });
  }
}

/** The ways to a running agent, whose values come from Google: it answers with one. */
async function keepThroughAgent({ root, env, work, cache }) {
  await run(root, ['agent', 'start', '--detach', '--idle', '60s'], undefined, env, work);
  await run(root, ['get', 'gcp://a'], undefined, env, work);
  // Several references take the program; one takes a file of its own.
  for (const [index, references] of [['gcp://a', 'gcp://a'], ['gcp://a']].entries()) {
    const out = join(work, `run-agent-${index}`);
    await mkdir(out);
    await run(root, ['get', ...references], undefined, { ...env, RECORD_TO: out }, work);
    for (const file of await readdir(out))
      if (!existsSync(join(cache, file))) await copyFile(join(out, file), join(cache, file));
  }
  await run(root, ['agent', 'stop'], undefined, env, work);
  if (!existsSync(join(cache, 'plain-get.js.bin'))) throw new Error('the agent has answered no plain get');
}

/** A key as Google gives them, known to nobody. */
function serviceAccount() {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return JSON.stringify({
    type: 'service_account',
    project_id: 'build',
    private_key_id: 'build',
    private_key: privateKey,
    client_email: 'build@build.iam.gserviceaccount.com',
  });
}

function run(root, words, input, env, cwd) {
  return new Promise((resolve) => {
    const args = ['--require', recorder, join(root, 'bin/secrets'), ...words];
    // The services fail on purpose, so an exit code says nothing here.
    const child = execFile(process.execPath, args, { env, cwd, timeout: 30_000 }, () => resolve());
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
  });
}
