/**
 * The independent reader, which knows docs/local-store.md alone, and the provider see the same in a store: every
 * name, value, version, stage, label and time, in whole, merged and damaged stores.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import fc from 'fast-check';
import { describeWith } from '../../backends/server.ts';
import { contextFor, kindOf, readOne } from '../../contract/suite.ts';
import { makePlace, ROOT } from '../../e2e/program.ts';
import { open } from '../../../src/providers/local/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import { readStore, type ReadStore, type Unlock } from './independent-reader.mjs';
import { entriesOf, flip, STORE } from './place.ts';

const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
const STAGES = ['current', 'previous', 'pending'];
/** Histories of two branches that are tried each time. */
const RUNS = 50;

interface Answer {
  readonly kind: string;
  readonly value?: string;
}

async function ask(store: Provider, request: Parameters<typeof readOne>[1]): Promise<Answer> {
  let value = '';
  const kind = await kindOf(
    readOne(store, request).then((read) => (value = Buffer.from(read.value).toString('base64'))),
  );
  return kind === 'no error' ? { kind, value } : { kind };
}

/** Fails where the two differ on a secret. */
async function agreeOn(store: Provider, read: ReadStore, name: string): Promise<void> {
  const secret = read.secrets.get(name);
  const history: VersionInfo[] = [];
  const kind = await kindOf(
    (async () => {
      for await (const version of store.history?.(name, soon()) ?? []) history.push(version);
    })(),
  );
  if (secret === undefined) throw new Error(`the reader does not see ${name}`);
  const isDamaged = kind === 'Integrity';
  if (!isDamaged) expect(kind).toBe('no error');
  const alive = secret.deleted ? 'deleted' : 'enabled';
  expect(
    secret.versions.map(({ id, state, stages, createdAt, by, expiresAt }) => ({
      ...{ id, stages, createdAt, createdBy: by, expiresAt },
      state: state === 'destroyed' ? state : alive,
    })),
  ).toEqual(history.map(({ note: _note, ...version }) => version));
  for (const { id, value } of secret.versions) {
    const expected =
      value === undefined ? { kind: 'NotFound' } : { kind: 'no error', value: value.toString('base64') };
    expect(await ask(store, { name, version: id })).toEqual(expected);
  }
  for (const stage of STAGES) {
    const found = secret.versions.find(({ stages }) => stages.includes(stage));
    const answer = await ask(store, { name, stage });
    if (found?.value !== undefined)
      expect(answer).toEqual({ kind: 'no error', value: found.value.toString('base64') });
    // The reader has no word for why a stage has no version.
    else expect(isDamaged ? ['NotFound', 'Integrity'] : ['NotFound']).toContain(answer.kind);
  }
  const described = await store.describe(name, soon()).catch(() => undefined);
  if (described !== undefined) {
    const { labels, description, deletedAt, currentVersion } = described;
    expect({ labels, description, deletedAt: deletedAt?.getTime(), currentVersion }).toEqual({
      labels: secret.labels,
      description: secret.description,
      deletedAt: secret.deletedAt,
      currentVersion: secret.versions.find(({ stages }) => stages.includes('current'))?.id,
    });
  }
}

/** Compares all of a store. @returns what the reader read */
async function agree(store: Provider, folder: string, unlock: Unlock): Promise<ReadStore> {
  const read = await readStore(folder, unlock);
  const listed: string[] = [];
  const kind = await kindOf(
    (async () => {
      for await (const { name } of store.list({ deleted: true, details: true }, soon())) listed.push(name);
    })(),
  );
  if (read.damaged.length === 0) expect(kind).toBe('no error');
  const withCurrent = [...read.secrets]
    .filter(([, { versions }]) => versions.some(({ stages }) => stages.includes('current')))
    .map(([name]) => name);
  expect(listed.toSorted()).toEqual(withCurrent.toSorted());
  for (const name of read.secrets.keys()) await agreeOn(store, read, name);
  return read;
}

/** One of all that can happen to a secret. */
async function fill(store: Provider): Promise<string[]> {
  const put = (name: string, text: string, more = {}): Promise<VersionInfo> =>
    store.put(name, { value: Buffer.from(text), ...more }, soon());
  const long = `x/${'Y'.repeat(1022)}`;
  await put('app/db', 'one', {
    labels: { team: 'pay', tier: '1', ['__proto__']: 'own' },
    description: 'first',
  });
  await put('app/db', 'two', { labels: { tier: null }, expiresAt: new Date('2030-01-02T03:04:05.678Z') });
  await put('app/db', 'three \u0000 \ud83d\udd11', { description: 'then' });
  await put('app/db', 'four', { stage: 'pending' });
  await put(long, '');
  await put('Ä b/%2f', 'odd');
  await put('back', 'one');
  await put('back', 'two');
  await store.makeCurrent?.('back', '1', soon());
  await put('deleted', 'gone');
  await put('deleted', 'unfinished', { stage: 'pending' });
  await store.delete('deleted', {}, soon());
  await put('restored', 'back again');
  await put('restored', 'unfinished', { stage: 'pending' });
  await store.delete('restored', {}, soon());
  await store.restore?.('restored', soon());
  await put('only-pending', 'not yet', { stage: 'pending' });
  for (const text of ['a', 'b', 'c']) await put('destroyed', text, { labels: { last: text } });
  await store.purge?.('destroyed', '2', soon());
  await put('purged', 'x');
  await put('purged', 'y');
  await store.purge?.('purged', undefined, soon());
  await put('purged', 'begun anew');
  return ['app/db', long, 'Ä b/%2f', 'back', 'deleted', 'restored', 'only-pending', 'destroyed', 'purged'];
}

describe('the independent reader', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'secrets-reader-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));
  const context = (env: Readonly<Record<string, string>> = {}): ReturnType<typeof contextFor> =>
    contextFor({ USER: 'ann', ...env }, home);
  const keyFile = (folder: string): Unlock => {
    const manifest = readdirSync(folder)
      .filter((file) => file.startsWith('manifest-'))
      .toSorted()
      .at(-1) as string;
    const { store, key } = JSON.parse(readFileSync(join(folder, manifest), 'utf8')) as {
      store: string;
      key: { id: string };
    };
    return { keyFile: join(home, '.config/secrets/keys', `${store}-${key.id}.key`) };
  };

  test.each(['hidden', 'visible'] as const)(
    'reads a store with a key file and %s names, before and after renewals',
    async (names) => {
      const folder = join(home, 'store');
      const store = open({ path: folder, names, key: { method: 'key-file' } }, context());
      const filled = await fill(store);
      const read = await agree(store, folder, keyFile(folder));
      expect([...read.secrets.keys()].toSorted()).toEqual(filled.toSorted());
      expect(read.damaged).toEqual([]);
      // A branch that is merged after two renewals brings an entry under the first key.
      const branch = join(home, 'branch');
      cpSync(folder, branch, { recursive: true });
      const other = open({ path: branch, key: { method: 'key-file' } }, context());
      await other.put('app/db', { value: Buffer.from('late') }, soon());
      await store.rekey?.({}, soon());
      await store.put('app/db', { value: Buffer.from('between') }, soon());
      await store.rekey?.({}, soon());
      mergeFiles(branch, folder);
      const after = await agree(store, folder, keyFile(folder));
      expect(after.damaged).toEqual([]);
      const values = after.secrets.get('app/db')?.versions.map(({ value }) => String(value));
      expect(values?.slice(0, 2).toSorted()).toEqual(['between', 'late']);
    },
  );

  test('reads a store with a passphrase', async () => {
    const folder = join(home, 'store');
    const store = open(
      { path: folder, key: { method: 'passphrase' } },
      context({ SECRETS_PASSPHRASE: 'caf\u00e9' }),
    );
    await fill(store);
    expect((await agree(store, folder, { passphrase: 'cafe\u0301' })).damaged).toEqual([]);
  });

  test('reads a store for age recipients', async () => {
    const [mine, others] = [await generateIdentity(), await generateIdentity()];
    const identity = join(home, 'identity.txt');
    writeFileSync(identity, `${mine}\n`, { mode: 0o600 });
    const folder = join(home, 'store');
    const recipients = [await identityToRecipient(others), await identityToRecipient(mine)];
    const store = open({ path: folder, key: { recipients, identity } }, context());
    await fill(store);
    for (const one of [mine, others])
      expect((await agree(store, folder, { identities: [one] })).damaged).toEqual([]);
    await expect(readStore(folder, { identities: [await generateIdentity()] })).rejects.toMatchObject({
      code: 'not-authenticated',
    });
  });

  /** Copies entries that the other folder does not have: what a merge does to files that one side added. */
  function mergeFiles(from: string, to: string): void {
    for (const file of entriesOf(from))
      cpSync(file, join(to, relative(from, file)), { recursive: true, force: false });
  }

  const step = fc.oneof(
    fc.record({
      kind: fc.constant('put' as const),
      stage: fc.constantFrom('current' as const, 'pending' as const),
      labels: fc.constantFrom(undefined, { a: '1' }, { a: '2', b: '1' }, { a: null }),
      description: fc.constantFrom(undefined, 'd', 'e'),
    }),
    fc.record({ kind: fc.constantFrom('delete' as const, 'restore' as const) }),
    fc.record({
      kind: fc.constantFrom('current' as const, 'destroy' as const),
      version: fc.integer({ min: 1, max: 5 }),
    }),
  );
  const steps = fc.array(step, { maxLength: 6 });
  const harm = fc.record({ kind: fc.constantFrom('flip' as const, 'remove' as const), pick: fc.nat(20) });

  test('agrees on any history of two merged branches, and on what damage leaves of it', async () => {
    const folder = join(home, 'main');
    const branch = join(home, 'branch');
    const settings = { key: { method: 'key-file' as const } };
    const store = open({ ...settings, path: folder }, context());
    await store.put('other', { value: Buffer.from('x') }, soon());
    let count = 0;
    let failed = 0;
    const doAll = async (
      on: Provider,
      name: string,
      all: readonly (typeof step extends fc.Arbitrary<infer S> ? S : never)[],
    ): Promise<void> => {
      for (const one of all) {
        const work = async (): Promise<unknown> => {
          if (one.kind === 'delete') return on.delete(name, {}, soon());
          if (one.kind === 'restore') return on.restore?.(name, soon());
          if (one.kind === 'current') return on.makeCurrent?.(name, String(one.version), soon());
          if (one.kind === 'destroy') return on.purge?.(name, String(one.version), soon());
          const { kind, ...write } = one;
          return on.put(name, { ...write, value: Buffer.from(`${kind} ${(count += 1)}`) }, soon());
        };
        // Some are refused, as in the life of a store.
        await kindOf(work());
      }
    };
    const property = fc.asyncProperty(
      ...([steps, steps, steps, steps, harm] as const),
      async (before, here, there, after, harmed) => {
        const name = `merged/${(count += 1)}`;
        // Nothing of the run before, which may have failed.
        rmSync(join(folder, 'secrets'), { recursive: true, force: true });
        await store.put(name, { value: Buffer.from('first') }, soon());
        await doAll(store, name, before);
        rmSync(branch, { recursive: true, force: true });
        cpSync(folder, branch, { recursive: true });
        const other = open({ ...settings, path: branch }, context({ USER: 'bob' }));
        await doAll(store, name, here);
        await doAll(other, name, there);
        mergeFiles(branch, folder);
        const merged = await readStore(folder, keyFile(folder));
        await agreeOn(store, merged, name);
        // A file that came back with the merge, of a version that is destroyed, changes nothing.
        mergeFiles(folder, branch);
        expect((await readStore(branch, keyFile(folder))).secrets.get(name)).toEqual(
          merged.secrets.get(name),
        );
        expect(merged.damaged).toEqual([]);
        await doAll(store, name, after);
        const of = entriesOf(folder);
        await agreeOn(store, await readStore(folder, keyFile(folder)), name);
        const whole = await ask(store, { name });
        const target = of[harmed.pick % of.length] as string;
        if (harmed.kind === 'flip') flip(target, 60);
        else rmSync(target);
        const left = await readStore(folder, keyFile(folder));
        if (left.secrets.has(name)) await agreeOn(store, left, name);
        const damaged = await ask(store, { name });
        // What is there is the same, or an error; but for last entries that are removed, which nobody can know of.
        const isTip = harmed.kind === 'remove' && left.damaged.length === 0;
        if (!isTip) expect([whole, { kind: 'Integrity' }]).toContainEqual(damaged);
        if (damaged.kind === 'Integrity') failed += 1;
      },
    );
    const put = {
      kind: 'put' as const,
      stage: 'current' as const,
      labels: undefined,
      description: undefined,
    };
    await fc.assert(property, {
      numRuns: RUNS,
      // A deletion and a value of one number, one of which is damaged: in either order. Then a version that one
      // branch destroys while the other makes it current, where it is not known any more that it was destroyed.
      examples: [
        [
          [{ kind: 'delete' }, put, { ...put, stage: 'pending' }],
          [{ kind: 'destroy', version: 3 }],
          [{ kind: 'current', version: 3 }],
          [],
          { kind: 'flip', pick: 4 },
        ],
        [[], [{ kind: 'delete' }], [put], [], { kind: 'flip', pick: 1 }],
        [[], [put], [{ kind: 'delete' }], [], { kind: 'flip', pick: 2 }],
      ],
    });
    expect(failed).toBeGreaterThan(RUNS / 25);
  });

  test.each([
    ['before', 'the value is there', { kind: 'no error', value: Buffer.from('two').toString('base64') }],
    ['after', 'it may have deleted the secret', { kind: 'Integrity' }],
  ])(
    'of a damaged deletion on another branch, %s a new value of the same number, %s',
    async (when, _, left) => {
      const [folder, branch] = [join(home, 'main'), join(home, 'branch')];
      // Time goes on between the two, by the writers' own clocks.
      let now = Date.UTC(2026, 0, 1);
      const at = (path: string): Provider =>
        open({ path, key: { method: 'key-file' } }, { ...context(), now: () => new Date((now += 1000)) });
      const store = at(folder);
      await store.put('a', { value: Buffer.from('one') }, soon());
      cpSync(folder, branch, { recursive: true });
      const remove = (): Promise<unknown> => store.delete('a', {}, soon());
      const write = (): Promise<unknown> => at(branch).put('a', { value: Buffer.from('two') }, soon());
      for (const step of when === 'before' ? [remove, write] : [write, remove]) await step();
      const known = new Set(entriesOf(branch).map((file) => relative(branch, file)));
      const deletion = entriesOf(folder).find((file) => !known.has(relative(folder, file))) as string;
      mergeFiles(branch, folder);
      flip(deletion, 60);
      expect(await ask(store, { name: 'a' })).toEqual(left);
      await agreeOn(store, await readStore(folder, keyFile(folder)), 'a');
      const listed = async (): Promise<unknown[]> => {
        const found: unknown[] = [];
        for await (const { name, currentVersion } of store.list({}, soon()))
          found.push([name, currentVersion]);
        return found;
      };
      if (when === 'before') expect(await listed()).toEqual([['a', '2']]);
      else expect(await kindOf(listed())).toBe('Integrity');
    },
  );

  const DAEMON = '/usr/bin/gnome-keyring-daemon';
  describeWith('with the key chain', [DAEMON, '/usr/bin/dbus-run-session'], () => {
    test('reads a store whose key is there', async () => {
      const place = await makePlace();
      try {
        const outcome = await place.sh(
          'mkdir -p -m 700 "$XDG_RUNTIME_DIR" && exec dbus-run-session -- bash -c "$SCRIPT"',
          {
            XDG_RUNTIME_DIR: join(place.root, 'run'),
            SCRIPT: `printf pw | ${DAEMON} --unlock --components=secrets >/dev/null 2>&1
              printf one | secrets put --quiet a
              user=$(jq -r '.store + "-" + .key.id' ~/${STORE}/manifest-*.json)
              cd '${ROOT}' && '${process.execPath}' -e '
                const { Entry } = require("@napi-rs/keyring");
                console.log(new Entry("secrets", process.argv[1], { linux: { store: "secret-service" } }).getPassword());
              ' "$user"`,
          },
        );
        const key = outcome.stdout.trim();
        expect(key).toMatch(/^[A-Za-z0-9+/]{43}=$/);
        const { secrets } = await readStore(join(place.home, STORE), { key });
        expect(String(secrets.get('a')?.versions[0]?.value)).toBe('one');
      } finally {
        await place.remove();
      }
    });
  });
});
