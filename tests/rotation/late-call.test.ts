/**
 * Calls and programs whose change takes effect after the rollback has set and verified the old value: nothing keeps that
 * back, so the value that works then must be readable. The system is a server here, and holds what it was sent.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLocal } from '../../src/providers/local/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { Outcome } from '../../src/rotation/run.ts';
import { ASIDE_PREFIX } from '../../src/rotation/place.ts';
import type { TargetDescriptor } from '../../src/rotation/target.ts';
import { http } from '../../src/rotation/targets/http/descriptor.ts';
import { program } from '../../src/rotation/targets/program/descriptor.ts';
import { contextFor, now } from '../contract/kit.ts';
import { look, rotateOn, type RunOptions } from './kit.ts';
import { openTarget } from './targets/kit.ts';

/** A system with one key. A change that is held is answered by nobody, and made when the test says so. */
class Slow {
  key = 'first';
  /** Runs instead of the next change, which is held. */
  onHeld: (() => void) | undefined;
  readonly #held: (() => void)[] = [];
  #server: Server | undefined;
  url = '';

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const { key } = JSON.parse(body) as { key: string };
        if (request.method === 'POST') {
          response.writeHead(key === this.key ? 204 : 401).end();
          return;
        }
        const change = (): void => {
          this.key = key;
          response.writeHead(204).end();
        };
        const { onHeld } = this;
        if (onHeld === undefined) return change();
        this.onHeld = undefined;
        this.#held.push(change);
        onHeld();
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  get held(): number {
    return this.#held.length;
  }

  /** What was sent long ago takes effect now. */
  arrive(): void {
    for (const change of this.#held.splice(0)) change();
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
  }
}

/** The hook: sends what it gets, and ends as it was answered. */
const HOOK = `
let body = '';
for await (const chunk of process.stdin) body += chunk;
const { event, new: { fields: { password: key } } } = JSON.parse(body);
const method = event === 'apply' ? 'PUT' : 'POST';
const { status } = await fetch(process.argv[2], { method, body: JSON.stringify({ key }) });
process.exitCode = status === 204 ? 0 : 10;
`;

const folder = mkdtempSync(join(tmpdir(), 'secrets-late-call-'));
const hook = [process.execPath, join(folder, 'hook.mjs')];
const system = new Slow();
let store: Provider;
beforeAll(async () => {
  writeFileSync(join(folder, 'hook.mjs'), HOOK);
  await system.start();
  store = openLocal({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, folder));
});
afterAll(async () => {
  await store?.close();
  await system.stop();
  rmSync(folder, { recursive: true });
});

describe.each([
  [
    'http',
    http,
    () => ({
      apply: { method: 'PUT', url: system.url, body: { key: '{{new.password}}' } },
      verify: { method: 'POST', url: system.url, body: { key: '{{new.password}}' } },
    }),
  ],
  ['program', program, () => ({ apply: [...hook, system.url], verify: [...hook, system.url] })],
] as const)('a late change of the target %s', (type, descriptor: TargetDescriptor, settingsOf) => {
  let count = 0;
  const begin = async () => {
    count += 1;
    const name = `${type}-${count}`;
    system.key = 'first';
    system.onHeld = undefined;
    await store.put(name, { value: Buffer.from(JSON.stringify({ password: 'first' })) }, now());
    const warnings: string[] = [];
    const run = async (options: RunOptions): Promise<Outcome> => {
      const { target } = await openTarget(descriptor, settingsOf(), {}, { folder });
      const warn = (line: string): unknown => warnings.push(line);
      const outcome = await rotateOn(store, name, { target: () => target }, { warn, ...options });
      await target.close();
      if (outcome === 'died') throw new Error('nobody was to die');
      return outcome;
    };
    return { name, run, warnings };
  };
  /** A rotation whose change is sent, and whose time is over before there is an answer. */
  const sendLate = async (run: (options: RunOptions) => Promise<Outcome>): Promise<Outcome> => {
    let time = new AbortController();
    system.onHeld = () => {
      const over = time;
      time = new AbortController();
      over.abort();
    };
    return run({ signal: () => time.signal });
  };
  const passwords = async (name: string) => {
    const { current, pending } = await look(store, name);
    return [current?.fields?.['password'], pending?.fields?.['password']];
  };
  /** Every value that was put aside, the newest first. */
  const asides = async (warnings: readonly string[]): Promise<readonly unknown[]> => {
    const name = new RegExp(`kept as (${ASIDE_PREFIX}[0-9a-f]{32});`).exec(warnings.join('\n'))?.[1] ?? '';
    const ids = [];
    for await (const { id } of store.history?.(name, now()) ?? []) ids.push({ name, version: id });
    const got = await store.get(ids, now());
    return got.map((one) =>
      one.ok ? (JSON.parse(one.secret.value.toString()) as { password: unknown }).password : one,
    );
  };

  test('after a rollback the value that works then is kept, and so is that of every rollback', async () => {
    const { name, run, warnings } = await begin();
    const works: string[] = [];
    for (const round of [1, 2]) {
      expect(await sendLate(run)).toMatchObject({ ending: 'stuck' });
      expect(system.held).toBe(1);
      const [, issued] = await passwords(name);
      expect(await run({ intent: 'rollback', takeOver: true })).toMatchObject({ ending: 'undone' });
      expect([system.key, await passwords(name)]).toEqual(['first', ['first', undefined]]);
      system.arrive();
      // Nothing that the secret has is accepted now; what was put aside is.
      expect([round, system.key]).toEqual([round, issued]);
      works.push(system.key);
      expect((await asides(warnings)).toSorted()).toEqual(works.toSorted());
      // And nobody is told that all is well.
      expect(await run({ intent: 'rollback' })).toMatchObject({ ending: 'refused' });
      system.key = 'first';
    }
  });

  test('with no place for it the rotation stays pending', async () => {
    const { name, run } = await begin();
    await sendLate(run);
    const [, issued] = await passwords(name);
    const put = store.put.bind(store);
    store.put = async (at, ...rest) => {
      if (at.startsWith(ASIDE_PREFIX)) throw new Error('no right to it');
      return put(at, ...rest);
    };
    try {
      expect(await run({ intent: 'rollback', takeOver: true })).toMatchObject({ ending: 'stuck' });
    } finally {
      store.put = put;
    }
    system.arrive();
    expect(await passwords(name)).toEqual(['first', issued]);
    expect(system.key).toBe(issued);
    expect(await run({ intent: 'resume', takeOver: true })).toMatchObject({ ending: 'done' });
    expect(await passwords(name)).toEqual([issued, undefined]);
  });

  test('a first value is given up by a rollback, and kept, since the target may have it', async () => {
    const { name, run, warnings } = await begin();
    await store.purge?.(name, undefined, now());
    expect(await sendLate((options) => run({ ...options, create: true }))).toMatchObject({ ending: 'stuck' });
    const [current, pending] = await passwords(name);
    expect([current, pending]).toEqual([undefined, expect.any(String)]);
    expect(await run({ intent: 'rollback', takeOver: true })).toMatchObject({ ending: 'undone' });
    expect(await passwords(name)).toEqual([undefined, undefined]);
    system.arrive();
    expect([await asides(warnings), system.key]).toEqual([[pending], pending]);
    expect(warnings).toEqual([expect.stringContaining('the target may have taken the first value')]);
    expect(await run({ intent: 'rollback' })).toMatchObject({ ending: 'nothing' });
  });

  test('a rotation that was answered, and one that goes back, put nothing aside', async () => {
    const { name, run, warnings } = await begin();
    expect(await run({})).toMatchObject({ ending: 'done' });
    expect(await run({ toPrevious: true })).toMatchObject({ ending: 'done' });
    expect(await passwords(name)).toEqual(['first', undefined]);
    expect(warnings).toEqual([]);
  });
});
