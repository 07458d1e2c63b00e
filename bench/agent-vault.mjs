// `node bench/agent-vault.mjs [--seconds 5] [--clients 200]`: the agent's Vault door beside the Vault that it reads from,
// in one run, and the agent's memory while it reads 10,000 secrets. Nothing is asserted. The clients run in this process
// and need a core of their own: on two cores, and on a busy machine, both servers look slower than they are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const options = { seconds: { type: 'string', default: '5' }, clients: { type: 'string', default: '200' } };
const { values: flags } = parseArgs({ options });
const [seconds, clients, SECRETS] = [Number(flags.seconds), Number(flags.clients), 10_000];
const root = new URL('..', import.meta.url).pathname;
const work = process.env.SECRETS_BACKENDS_DIR ?? join(root, '.work');
const place = mkdtempSync(join(tmpdir(), 'secrets-bench-agent-'));

/** One kept connection: a request, its answer, the next. Counts bytes, because parsing would cost more than serving. */
function client({ port, token }, requests, times) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let [sent, text] = [0, ''];
    const send = () => {
      const next = requests.next();
      if (next.done) {
        socket.destroy();
        return resolve();
      }
      const { method = 'GET', path, body = '' } = next.value;
      text = '';
      sent = performance.now();
      socket.write(
        `${method} /v1/${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (head === -1 || text.length < head + 4 + length) return;
      if (!text.startsWith('HTTP/1.1 200')) return reject(new Error(text));
      times?.push(performance.now() - sent);
      send();
    });
  });
}

function* until(end, request) {
  while (performance.now() < end) yield request;
}

async function load(name, target) {
  const times = [];
  const start = performance.now();
  const requests = () => until(start + seconds * 1000, { path: target.path });
  await Promise.all(Array.from({ length: clients }, () => client(target, requests(), times)));
  const rate = Math.round((times.length / (performance.now() - start)) * 1000);
  times.sort((one, other) => one - other);
  const at = (share) => `${times[Math.floor(times.length * share)].toFixed(1)} ms`;
  print(`${name}: ${rate} reads a second, p50 ${at(0.5)}, p99 ${at(0.99)}`);
}

const print = (line) => process.stdout.write(`${line}\n`);

async function started(command, args, env, ready) {
  const child = spawn(command, args, { env, cwd: place, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  while (!ready.test(output)) {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { child, output };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

function memoryOf({ pid }) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mb = (name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)[1]) / 1024);
  return `${mb('VmRSS')} MB, ${mb('VmHWM')} MB at most`;
}

const children = [];
try {
  const port = await freePort();
  const vault = await started(
    join(work, 'vault-server'),
    ['-listen', `127.0.0.1:${port}`],
    process.env,
    /^root/m,
  );
  children.push(vault.child);
  const token = /^root (\S+)$/m.exec(vault.output)[1];
  const direct = { port, token, path: 'secret/data/s1' };
  const admin = { 'X-Vault-Token': token };
  const mount = JSON.stringify({ type: 'kv', options: { version: '2' } });
  const url = `http://127.0.0.1:${port}`;
  await fetch(`${url}/v1/sys/mounts/secret`, { method: 'POST', headers: admin, body: mount });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const body = JSON.stringify({ data: { username: 'app', password: 'x'.repeat(40) } });
  const writes = Array.from({ length: SECRETS }, (_, index) => ({
    method: 'POST',
    path: `secret/data/s${index}`,
    body,
  }));
  const shared = writes.values();
  await Promise.all(Array.from({ length: 16 }, () => client(direct, shared)));

  const file = join(place, 'token');
  const env = { PATH: process.env.PATH, HOME: place, VAULT_ADDR: url, VAULT_TOKEN: token };
  const flagsOfAgent = [
    '--json',
    '--vault',
    '127.0.0.1:0',
    '--token-file',
    file,
    '--ttl',
    '1h',
    '--fresh',
    '1h',
  ];
  const agent = await started(join(root, 'bin/secrets'), ['agent', 'start', ...flagsOfAgent], env, /\n/);
  children.push(agent.child);
  const { doors, pid } = JSON.parse(agent.output);
  const address = new URL(doors.find(({ name }) => name === 'vault').address);
  const door = { port: Number(address.port), token: readFileSync(file, 'utf8'), path: 'vault/data/s1' };

  print(`${clients} clients for ${seconds} s, one secret`);
  await load('Vault', direct);
  await load('agent', door);
  print(`memory of the agent: ${memoryOf({ pid })}`);
  const reads = Array.from({ length: SECRETS }, (_, index) => ({ path: `vault/data/s${index}` })).values();
  const start = performance.now();
  await Promise.all(Array.from({ length: 64 }, () => client(door, reads)));
  print(`${SECRETS} secrets read once by 64 clients: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  print(`memory of the agent: ${memoryOf({ pid })}`);
} finally {
  for (const child of children) child.kill('SIGTERM');
  rmSync(place, { recursive: true, force: true });
}
