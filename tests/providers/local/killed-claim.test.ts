/**
 * A put of the local store that is killed before a reader can see it is never seen: not by what the next command is,
 * done or refused, nor by anything after that.
 */
import { cpSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { contextFor, kindOf, readOne } from '../../contract/suite.ts';
import { type Place, ROOT } from '../../e2e/program.ts';
import { open } from '../../../src/providers/local/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { makeStore, STORE } from './place.ts';

const KILLER = `--require=${join(ROOT, 'tests/rotation/kill-at.cjs')}`;
const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
const bytes = (text: string): Buffer => Buffer.from(text);

/** What can be next, and the values that are then there, newest first; the kind of its refusal, if it is refused. */
interface Next {
  readonly act: (store: Provider) => Promise<unknown>;
  readonly kind?: string;
  readonly values: readonly string[];
  readonly current: string | undefined;
  /** Those that are there again after one more put. */
  readonly again?: readonly string[];
}

const LIVE: Readonly<Record<string, Next>> = {
  put: {
    act: (store) => store.put('a', { value: bytes('three') }, soon()),
    values: ['three', 'two', 'one'],
    current: 'three',
  },
  'a pending put': {
    act: (store) => store.put('a', { value: bytes('three'), stage: 'pending' }, soon()),
    values: ['three', 'two', 'one'],
    current: 'two',
  },
  'put if absent': {
    act: (store) => store.put('a', { value: bytes('three'), ifAbsent: true }, soon()),
    kind: 'Conflict',
    values: ['two', 'one'],
    current: 'two',
  },
  'put of another version': {
    act: (store) => store.put('a', { value: bytes('three'), ifVersion: '1' }, soon()),
    kind: 'Conflict',
    values: ['two', 'one'],
    current: 'two',
  },
  'delete and restore': {
    act: async (store) => {
      await store.delete('a', {}, soon());
      await store.restore?.('a', soon());
    },
    values: ['two', 'one'],
    current: 'two',
  },
  'a refused restore': {
    act: (store) => store.restore?.('a', soon()) as Promise<void>,
    kind: 'Conflict',
    values: ['two', 'one'],
    current: 'two',
  },
  'make the first current': {
    act: (store) => store.makeCurrent?.('a', '1', soon()) as Promise<unknown>,
    values: ['two', 'one'],
    current: 'one',
  },
  'set labels': {
    act: (store) => store.setLabels?.('a', { team: 'pay' }, soon()) as Promise<void>,
    values: ['two', 'one'],
    current: 'two',
  },
  'purge the first': {
    act: (store) => store.purge?.('a', '1', soon()) as Promise<void>,
    values: ['two'],
    current: 'two',
  },
  'purge the current': {
    act: (store) => store.purge?.('a', '2', soon()) as Promise<void>,
    kind: 'Conflict',
    values: ['two', 'one'],
    current: 'two',
  },
  'purge all and put': {
    act: async (store) => {
      await store.purge?.('a', undefined, soon());
      await store.put('a', { value: bytes('anew') }, soon());
    },
    values: ['anew'],
    current: 'anew',
  },
  'renew the key': {
    act: (store) => store.rekey?.({}, soon()) as Promise<unknown>,
    values: ['two', 'one'],
    current: 'two',
  },
};
const DELETED: Readonly<Record<string, Next>> = {
  restore: {
    act: (store) => store.restore?.('a', soon()) as Promise<void>,
    values: ['two', 'one'],
    current: 'two',
  },
  'a refused delete': {
    act: (store) => store.delete('a', {}, soon()),
    kind: 'NotFound',
    values: [],
    current: undefined,
    again: ['two', 'one'],
  },
  put: LIVE['put'] as Next,
};
const NONE: Readonly<Record<string, Next>> = {
  put: { act: (store) => store.put('a', { value: bytes('x') }, soon()), values: ['x'], current: 'x' },
  'a refused delete': {
    act: (store) => store.delete('a', {}, soon()),
    kind: 'NotFound',
    values: [],
    current: undefined,
  },
  'put if absent': {
    act: (store) => store.put('a', { value: bytes('x'), ifAbsent: true }, soon()),
    values: ['x'],
    current: 'x',
  },
};

let place: Place;
afterEach(() => place.remove());
const folder = (): string => join(place.home, STORE);
const storeOf = (): Provider => open({ key: { method: 'key-file' } }, contextFor({}, place.home));

async function read(store: Provider): Promise<string | undefined> {
  const [found] = await store.get([{ name: 'a' }], soon());
  return found?.ok === true ? Buffer.from(found.secret.value).toString() : undefined;
}

async function valuesOf(store: Provider): Promise<string[]> {
  const values: string[] = [];
  const kind = await kindOf(
    (async () => {
      for await (const { id, state } of store.history?.('a', soon()) ?? [])
        if (state === 'enabled')
          values.push(Buffer.from((await readOne(store, { name: 'a', version: id })).value).toString());
    })(),
  );
  expect(['no error', 'NotFound']).toContain(kind);
  return values;
}

/** Puts `killed`, and dies at a moment. @returns how many moments there were, without one */
async function killedPut(at?: string): Promise<number> {
  const log = join(place.root, 'kill-log');
  rmSync(log, { force: true });
  const { code } = await place.sh('printf killed | secrets put --quiet a', {
    NODE_OPTIONS: KILLER,
    ...(at === undefined ? { KILL_LOG: log } : { KILL_AT: at }),
  });
  expect(code).toBe(at === undefined ? 0 : 137);
  return at === undefined ? Number(readFileSync(log, 'utf8')) : 0;
}

describe.each([
  ['a secret that is there', 'secrets get a >/dev/null', 'two', LIVE],
  ['a deleted secret', 'secrets delete a', undefined, DELETED],
  ['no secret', 'secrets purge --yes a', undefined, NONE],
] as const)('a killed put to %s', (_, prepare, before, nexts) => {
  test('is never seen, if it was not seen', async () => {
    place = await makeStore({ a: 'one' });
    await place.sh(`printf two | secrets put --quiet a; ${prepare}`);
    const kept = join(place.root, 'kept');
    const keep = (from: string, to: string): void => {
      rmSync(to, { recursive: true, force: true });
      cpSync(from, to, { recursive: true });
    };
    keep(folder(), kept);
    const moments = await killedPut();
    expect(moments).toBeGreaterThanOrEqual(4);
    const unseen = new Set<string>();
    const killed = join(place.root, 'killed');
    for (let moment = 1; moment <= moments; moment += 1)
      for (const when of ['before', 'after']) {
        keep(kept, folder());
        await killedPut(`${moment} ${when}`);
        if ((await read(storeOf())) !== before) {
          expect(await read(storeOf())).toBe('killed');
          // The claim is made, and the entry is not in place.
          expect([...unseen]).toEqual(['no claim', 'claim']);
          return;
        }
        const state = readdirSync(join(folder(), 'claims')).length === 0 ? 'no claim' : 'claim';
        if (unseen.has(state)) continue;
        unseen.add(state);
        keep(folder(), killed);
        for (const [name, { act, kind = 'no error', values, current, again = values }] of Object.entries(
          nexts,
        )) {
          keep(killed, folder());
          const keys = join(place.home, '.config/secrets/keys');
          keep(keys, join(place.root, 'keys'));
          const at = `${moment} ${when}: ${name}`;
          expect([at, await kindOf(act(storeOf()))]).toEqual([at, kind]);
          for (let turn = 0; turn < 2; turn += 1) {
            expect([at, await valuesOf(storeOf())]).toEqual([at, values]);
            expect([at, await read(storeOf())]).toEqual([at, current]);
            if (turn === 0) {
              // Nor by what comes after that.
              const later = storeOf();
              await kindOf(later.put('a', { value: bytes('x'), ifVersion: 'none' }, soon()));
            }
          }
          const claims = readdirSync(join(folder(), 'claims'));
          for (const file of claims) expect(statSync(join(folder(), 'claims', file)).size).toBe(0);
          await storeOf().put('a', { value: bytes('last') }, soon());
          expect(await valuesOf(storeOf())).toEqual(['last', ...again]);
          expect(readdirSync(join(folder(), 'claims'))).toEqual([]);
          keep(join(place.root, 'keys'), keys);
        }
      }
    throw new Error('the put was never seen');
  });
});
