/** Long copies between real stores: interrupted, throttled, and with more secrets than fit in memory at once. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { open as openLocal } from '../../src/providers/local/index.ts';
import { open as openVault } from '../../src/providers/vault/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles, startVault, type Vault } from '../backends/vault.ts';
import { type FaultProxy, startFaultProxy } from '../contract/fault-proxy.ts';
import { all, contextFor, now, readOne } from '../contract/kit.ts';
import { sized } from '../size.ts';
import { until } from '../exec/setup.ts';
import { makePlace, NODE, type Place, PROGRAM } from '../e2e/program.ts';

const KEY = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };

async function fill(
  provider: Provider,
  prefix: string,
  count: number,
  value: (index: number) => string,
): Promise<void> {
  for (let index = 0; index < count; index += 1)
    await provider.put(
      `${prefix}${String(index).padStart(4, '0')}`,
      { value: Buffer.from(value(index)) },
      now(),
    );
}

describeWith('a copy to Vault', scenarioFiles, () => {
  let vault: Vault;
  let place: Place;
  let proxy: FaultProxy;
  let local: Provider;
  let remote: Provider;

  beforeAll(async () => {
    vault = await startVault();
    proxy = await startFaultProxy({ url: vault.url });
    place = await makePlace();
    local = openLocal({}, contextFor(KEY, place.home));
    remote = openVault({}, contextFor({ VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token }, place.home));
    await fill(local, 'many/', 200, (index) => `value ${index}`);
  });
  afterAll(async () => {
    await Promise.all([local.close(), remote.close(), proxy.stop()]);
    await vault.stop();
    await place.remove();
  });
  afterEach(() => proxy.heal());
  const env = (): Record<string, string> => ({ ...KEY, VAULT_ADDR: proxy.url, VAULT_TOKEN: vault.token });

  test('that was killed goes on where it stopped: every secret once, each with one version', async () => {
    // While it looks at what is there, and among its writes, of which some have no answer then.
    const written: number[] = [];
    for (const [method, skip] of [
      ['GET', 3],
      ['POST', 0],
      ['POST', 40],
      ['POST', 60],
    ] as const) {
      const child = spawn(NODE, [PROGRAM, 'copy', 'local://many/', 'vault://killed/'], {
        env: { ...place.env, ...env() },
        cwd: place.cwd,
        stdio: 'ignore',
      });
      const ended = new Promise((resolve) => child.once('exit', (_code, by) => resolve(by)));
      proxy.fault('stall', { method, skip });
      const came = (): number => proxy.requests.filter((request) => request.method === method).length;
      await until(
        () => came() > skip,
        () => `more than ${skip} times ${method}, of which ${came()} came`,
      );
      child.kill('SIGKILL');
      expect(await ended).toBe('SIGKILL');
      proxy.heal();
      written.push((await all(remote.list({ prefix: 'killed/' }, now()))).length);
    }
    // Nothing, and each time more, and never all.
    expect(written[0]).toBe(0);
    expect(written).toEqual([...new Set(written)].toSorted((one, other) => one - other));
    expect(written.at(-1)).toBeLessThan(200);
    const ended = await place.sh('secrets copy local://many/ vault://killed/ --json', env());
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    const names = (await all(remote.list({ prefix: 'killed/' }, now()))).map(({ name }) => name);
    expect(names).toHaveLength(200);
    for (const name of [names[0], names[99], names[199]] as string[]) {
      expect(await all(remote.history?.(name, now()) as AsyncIterable<unknown>)).toHaveLength(1);
      expect(Buffer.from((await readOne(remote, { name })).value).toString()).toMatch(/^value \d+$/);
    }
  });

  test('of a service that throttles is slower and does not fail', async () => {
    proxy.fault(
      { answer: { status: 429, headers: { 'retry-after': '0' }, body: '{"errors":[]}' } },
      { skip: 60, times: 12 },
    );
    const ended = await place.sh('secrets copy local://many/ vault://slow/ --json', env());
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    const actions = (JSON.parse(ended.stdout) as { secrets: { action: string }[] }).secrets.map(
      ({ action }) => action,
    );
    expect(actions).toEqual(Array.from({ length: 200 }, () => 'created'));
  });

  test('checks the limits of the target before it writes anything', async () => {
    await local.put('big/a', { value: Buffer.from('small') }, now());
    await local.put('big/b', { value: Buffer.alloc(900_000, 'b') }, now());
    const { maxValueBytes } = remote.rules;
    expect(maxValueBytes).toBeLessThan(900_000);
    const ended = await place.sh('secrets copy local://big/ vault://limits/', env());
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(/nothing was written/);
    expect(ended.stderr).toContain(
      `vault://limits/b: 900000 bytes are more than vault allows: ${maxValueBytes}`,
    );
    expect(await all(remote.list({ prefix: 'limits/' }, now()))).toEqual([]);
  });

  test('onto what another writer changed meanwhile is a conflict, not a lost update', async () => {
    await remote.put('race/a', { value: Buffer.from('theirs') }, now());
    await local.put('race/a', { value: Buffer.from('ours') }, now());
    // Somebody else's write arrives between our reading and our writing.
    const between = await startBetween(vault.url, async (method, path) => {
      if (method === 'PUT' || method === 'POST') {
        if (path.includes('/race/a')) await remote.put('race/a', { value: Buffer.from('newer') }, now());
      }
    });
    try {
      const ended = await place.sh('secrets copy local://race/a vault://race/a', {
        ...env(),
        VAULT_ADDR: between.url,
      });
      expect(ended.stderr).toContain('vault://race/a');
      expect(ended.code).toBe(5);
    } finally {
      await between.stop();
    }
    expect(Buffer.from((await readOne(remote, { name: 'race/a' })).value).toString()).toBe('newer');
  });
});

/** In all 188 MiB, or 132 MiB: more than may be held. */
const [MANY, KIB] = sized([150, 900], [1000, 192]) as [number, number];

test(`a copy of ${MANY} secrets of ${KIB} KiB holds some of them at a time`, async () => {
  const place = await makePlace();
  // In memory where there is such a folder: 2,000 durable writes to a disk take minutes.
  const store = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : place.root, 'secrets-copy-'));
  const env = { ...KEY, SECRETS_LOCAL_PATH: join(store, 'store') };
  const local = openLocal({}, contextFor(env, place.home));
  try {
    await fill(local, 'few/', 20, (index) => `${index}`.padEnd(KIB * 1024, 'x'));
    await fill(local, 'many/', MANY, (index) => `${index}`.padEnd(KIB * 1024, 'x'));
    const few = await peakOf(place, env, ['copy', 'few/', 'few-copied/', '--json']);
    const many = await peakOf(place, env, ['copy', 'many/', 'many-copied/', '--json']);
    expect((await all(local.list({ prefix: 'many-copied/' }, now()))).length).toBe(MANY);
    // Node frees buffers late, by the tens of megabytes.
    expect(many - few).toBeLessThan(100 * 1024);
  } finally {
    await local.close();
    rmSync(store, { recursive: true });
    await place.remove();
  }
}, 600_000);

/** The most memory that the program had, in KiB (proc(5), VmHWM). */
async function peakOf(
  place: Place,
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<number> {
  const child = spawn(NODE, [PROGRAM, ...args], {
    env: { ...place.env, ...env },
    cwd: place.cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let peak = 0;
  const timer = setInterval(() => {
    try {
      const [, size] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      peak = Math.max(peak, Number(size ?? 0));
    } catch {
      // It has ended.
    }
  }, 10);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  clearInterval(timer);
  expect(code).toBe(0);
  expect(peak).toBeGreaterThan(0);
  return peak;
}

/** A server that does something before it passes each request on. */
async function startBetween(
  upstream: string,
  before: (method: string, path: string) => Promise<void>,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      void (async () => {
        await before(request.method ?? '', request.url ?? '');
        const headers = Object.entries(request.headers).filter(([name]) => name.startsWith('x-vault'));
        const answer = await fetch(`${upstream}${request.url}`, {
          method: request.method ?? 'GET',
          headers: Object.fromEntries(headers) as Record<string, string>,
          ...(pieces.length > 0 && { body: Buffer.concat(pieces) }),
        });
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
      })();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
