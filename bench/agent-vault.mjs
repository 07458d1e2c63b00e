// `node bench/agent-vault.mjs [--seconds 5] [--clients 200] [--rate 2000]`: the agent's Vault door beside the Vault that it reads from,
// in one run, and the agent's memory while it reads 10,000 secrets. Nothing is asserted. The clients run in this process
// and need a core of their own: on two cores, and on a busy machine, both servers look slower than they are.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const options = {
  seconds: { type: 'string', default: '5' },
  clients: { type: 'string', default: '200' },
  rate: { type: 'string', default: '2000' },
};
const { values: flags } = parseArgs({ options });
const [seconds, clients, rate, SECRETS] = [
  Number(flags.seconds),
  Number(flags.clients),
  Number(flags.rate),
  10_000,
];
const root = new URL('..', import.meta.url).pathname;
const work = process.env.SECRETS_BACKENDS_DIR ?? join(root, '.work');
const place = mkdtempSync(join(tmpdir(), 'secrets-bench-agent-'));

/** A kept connection. Counts bytes, because parsing would cost more than serving. */
function connection({ port, token }) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let text = '';
  let waiting;
  socket.on('error', (error) => waiting?.reject(error));
  socket.on('close', () => waiting?.reject(new Error('the connection was closed')));
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    const head = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (head === -1 || text.length < head + 4 + length) return;
    const { resolve, reject } = waiting;
    waiting = undefined;
    if (text.startsWith('HTTP/1.1 200')) resolve();
    else reject(new Error(text));
  });
  const ask = ({ method = 'GET', path, body = '' }) => {
    text = '';
    const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
    return new Promise((resolve, reject) => {
      waiting = { resolve, reject };
      socket.write(
        `${method} /v1/${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Vault-Token: ${token}\r\n${length}\r\n${body}`,
      );
    });
  };
  return { ask, close: () => socket.destroy(), open: once(socket, 'connect') };
}

/** Asks for each on a connection of its own, one after the other. */
async function askAll(target, requests, times) {
  const { ask, close, open } = connection(target);
  await open;
  for (const request of requests) {
    const sent = performance.now();
    await ask(request);
    times?.push(performance.now() - sent);
  }
  close();
}

function* until(end, request) {
  while (performance.now() < end) yield request;
}

/** As many as it can answer: each client asks again as soon as it has its answer. */
async function closedLoop(name, target) {
  const times = [];
  const before = cpuOf(target);
  const start = performance.now();
  const requests = () => until(start + seconds * 1000, { path: target.path });
  await Promise.all(Array.from({ length: clients }, () => askAll(target, requests(), times)));
  report(`${name}, as fast as it can`, target, { times, before, start });
}

/**
 * A rate that is offered, whether it is answered or not. A time counts from when the request was due: one that has to
 * wait for a free connection has waited.
 */
async function openLoop(name, target) {
  const all = Array.from({ length: clients }, () => connection(target));
  await Promise.all(all.map(({ open }) => open));
  const [free, due, times] = [[...all], [], []];
  const total = rate * seconds;
  const before = cpuOf(target);
  const start = performance.now();
  const failures = [];
  const take = async (one, at) => {
    try {
      await one.ask({ path: target.path });
    } catch (error) {
      failures.push(error);
    }
    times.push(performance.now() - at);
    if (due.length > 0) void take(one, due.shift());
    else free.push(one);
  };
  for (let sent = 0; (times.length < total || sent < total) && failures.length === 0;) {
    for (; sent < Math.min(total, ((performance.now() - start) / 1000) * rate); sent += 1) {
      const at = start + (sent / rate) * 1000;
      // The one that has been idle the longest, so that all of them are used.
      const one = free.shift();
      if (one === undefined) due.push(at);
      else void take(one, at);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (const { close } of all) close();
  if (failures.length > 0) throw failures[0];
  report(`${name}, ${rate} a second offered`, target, { times, before, start });
}

function report(name, target, { times, before, start }) {
  const answered = Math.round((times.length / (performance.now() - start)) * 1000);
  const cpu = (cpuOf(target) - before) / times.length;
  times.sort((one, other) => one - other);
  const at = (share) => `${times[Math.floor(times.length * share)].toFixed(1)} ms`;
  print(
    `${name}: ${answered} reads a second, p50 ${at(0.5)}, p99 ${at(0.99)}, ${cpu.toFixed(2)} ms of CPU for each`,
  );
}

/** Milliseconds of CPU that the server has used, in hundredths of a second (proc(5)). */
function cpuOf({ pid }) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
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
  const direct = { port, token, path: 'secret/data/s1', pid: vault.child.pid };
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
  await Promise.all(Array.from({ length: 16 }, () => askAll(direct, shared)));

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
  const door = { port: Number(address.port), token: readFileSync(file, 'utf8'), path: 'vault/data/s1', pid };

  print(`${clients} clients for ${seconds} s, one secret`);
  for (const measure of [closedLoop, openLoop]) {
    await measure('Vault', direct);
    await measure('agent', door);
  }
  print(`memory of the agent: ${memoryOf({ pid })}`);
  const reads = Array.from({ length: SECRETS }, (_, index) => ({ path: `vault/data/s${index}` })).values();
  const start = performance.now();
  await Promise.all(Array.from({ length: 64 }, () => askAll(door, reads)));
  print(`${SECRETS} secrets read once by 64 clients: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  print(`memory of the agent: ${memoryOf({ pid })}`);
} finally {
  for (const child of children) child.kill('SIGTERM');
  rmSync(place, { recursive: true, force: true });
}
