/** Conditional writes and pending values: among our own writers, beside foreign ones, and broken off anywhere. */
import type { Provider } from '../../../src/providers/provider.ts';
import type { VersionInfo } from '../../../src/core/secret.ts';
import { ADMIN, type Account } from '../../backends/gcp.ts';
import { type FaultProxy, startFaultProxy } from '../../contract/fault-proxy.ts';
import { sized, startOf } from '../../size.ts';
import { all, type Bench, bytes, failure, now, readText, startBench, startMiddleman } from './setup.ts';

/** Every so many requests something is broken off; a small run has some of them. */
const EVERY = sized(3, 1);

let bench: Bench;
let admin: Account;
let store: Provider;
let native: ReturnType<Bench['native']>;
const full = (name: string): string => `projects/${bench.gcp.project}/secrets/${name}`;
const put = (name: string, text: string, more = {}): Promise<VersionInfo> =>
  store.put(name, { value: bytes(text), ...more }, now());
const stage = (name: string, text: string, more = {}): Promise<VersionInfo> =>
  put(name, text, { stage: 'pending', ...more });
const names = async (): Promise<string[]> => {
  const [secrets] = await native.listSecrets({ parent: `projects/${bench.gcp.project}` });
  return secrets.map(({ name }) => name?.split('/').at(-1) ?? '');
};
const annotate = async (name: string, annotations: Record<string, string>): Promise<void> => {
  await native.updateSecret({
    secret: { name: full(name), annotations },
    updateMask: { paths: ['annotations'] },
  });
};
const latest = async (name: string): Promise<string> => {
  const [answer] = await native.accessSecretVersion({ name: `${full(name)}/versions/latest` });
  return Buffer.from(answer.payload?.data as Uint8Array).toString();
};

beforeAll(async () => {
  bench = await startBench();
  admin = await bench.gcp.account('admin', ADMIN);
  store = bench.store(admin);
  native = bench.native(admin);
});
afterAll(() => bench.stop());

/** A deadline that is over when a request is cut off, and not while one is under way. */
function timeIsUp(): { readonly signal: AbortSignal; readonly cut: () => 'cut' } {
  const deadline = new AbortController();
  const cut = (): 'cut' => {
    deadline.abort(new DOMException('The operation timed out', 'TimeoutError'));
    return 'cut';
  };
  return { signal: deadline.signal, cut };
}

/** How often a writer behind the proxy has looked at a secret, and so at the claim on it. */
const looksAt = (name: string, proxy: FaultProxy): number =>
  proxy.requests.filter(
    ({ method, path }) => method === 'GET' && path.split('?')[0]?.endsWith(`/secrets/${name}`),
  ).length;

describe('a conditional write', () => {
  test('waits for the writer who holds the claim, and then finds its version', async () => {
    await put('held', 'one');
    await annotate('held', { 'secrets-write': '1:somebody' });
    const proxy = await startFaultProxy({ url: bench.gcp.url, ca: bench.gcp.tls.cert, tls: bench.gcp.tls });
    const other = bench.store(admin, { endpoint: proxy.url });
    const waiting = failure(other.put('held', { value: bytes('mine'), ifVersion: '1' }, now()));
    // It has looked at the claim, and looks at it again.
    while (looksAt('held', proxy) < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    await native.addSecretVersion({ parent: full('held'), payload: { data: bytes('theirs') } });
    expect(await waiting).toMatch(/^Conflict: changed by somebody else/);
    await proxy.stop();
    expect(await latest('held')).toBe('theirs');
  });

  test('is refused by a server that gives no etags, which then has no compare-and-set', async () => {
    await put('no-etag', 'one');
    const proxy = await startFaultProxy({ url: bench.gcp.url, ca: bench.gcp.tls.cert, tls: bench.gcp.tls });
    try {
      const other = bench.store(admin, { endpoint: proxy.url });
      expect(await readText(other, 'no-etag')).toBe('one');
      const headers = { 'content-type': 'application/json' };
      proxy.fault(
        { answer: { status: 200, headers, body: JSON.stringify({ name: full('no-etag') }) } },
        { times: 1 },
      );
      expect(await failure(other.put('no-etag', { value: bytes('two'), ifVersion: '1' }, now()))).toMatch(
        /^Unsupported: this server gives no etags/,
      );
      expect(other.capabilities.has('cas')).toBe(false);
      expect(await latest('no-etag')).toBe('one');
    } finally {
      await proxy.stop();
    }
  });

  test('takes over a claim that was left behind', async () => {
    await put('left', 'one');
    await annotate('left', { 'secrets-write': '1:dead', keep: 'me' });
    const started = performance.now();
    expect((await put('left', 'two', { ifVersion: '1' })).id).toBe('2');
    expect(performance.now() - started).toBeGreaterThan(7000);
    expect((await store.describe('left', now())).labels).toEqual({ keep: 'me' });
    // A claim on a number that is taken by now holds nobody up.
    await annotate('left', { 'secrets-write': '1:dead' });
    const proxy = await startFaultProxy({ url: bench.gcp.url, ca: bench.gcp.tls.cert, tls: bench.gcp.tls });
    const other = bench.store(admin, { endpoint: proxy.url });
    expect((await other.put('left', { value: bytes('three'), ifVersion: '2' }, now())).id).toBe('3');
    expect(looksAt('left', proxy)).toBe(1);
    await proxy.stop();
  });

  test('makes the first version of a secret that was left empty', async () => {
    await native.createSecret({
      parent: `projects/${bench.gcp.project}`,
      secretId: 'empty',
      secret: { replication: { automatic: {} } },
    });
    expect(await failure(readText(store, 'empty'))).toMatch(/^NotFound/);
    expect((await put('empty', 'first', { ifAbsent: true })).id).toBe('1');
    expect(await failure(put('empty', 'second', { ifAbsent: true }))).toMatch(/^Conflict: already exists/);
  });

  test('gives its claim up before another may take it over: nothing is written late', async () => {
    await put('slow', 'one');
    const proxy = await startFaultProxy({ url: bench.gcp.url, ca: bench.gcp.tls.cert, tls: bench.gcp.tls });
    // The secret, its newest version, and the claim pass; the new version is told to wait longer than the claim lasts.
    proxy.fault({ answer: { status: 429, headers: { 'retry-after': '9' } } }, { skip: 3 });
    const slow = bench.store(admin, { endpoint: proxy.url });
    const outcome = await failure(slow.put('slow', { value: bytes('late'), ifVersion: '1' }, now()));
    // It waited and had not sent it again, so there is no doubt.
    expect(outcome).toMatch(/^Unavailable: no answer in time; try again/);
    proxy.heal();
    expect((await put('slow', 'two', { ifVersion: '1' })).id).toBe('2');
    await slow.close();
    expect(proxy.requests).toEqual([]);
    await proxy.stop();
    expect(await latest('slow')).toBe('two');
  });

  test('says so when a foreign writer came between the claim and the version', async () => {
    await put('between', 'one');
    const middleman = await startMiddleman(bench.gcp, async (request) => {
      if (request.includes('/between:addVersion'))
        await native.addSecretVersion({ parent: full('between'), payload: { data: bytes('foreign') } });
      return undefined;
    });
    const through = bench.store(admin, { endpoint: middleman.url });
    expect(await failure(through.put('between', { value: bytes('mine'), ifVersion: '1' }, now()))).toMatch(
      /^Conflict: written as version 3, but somebody else wrote version 2 meanwhile/,
    );
    await through.close();
    await middleman.stop();
  });

  test.each(['-1', '0', '1.5', 'x', '99'])(
    'over a version %s that is not the current one is a Conflict',
    async (ifVersion) => {
      await put('strict', 'one');
      expect(await failure(put('strict', 'two', { ifVersion }))).toMatch(/^Conflict/);
      expect(await failure(put('never-there', 'two', { ifVersion: '1' }))).toMatch(/^Conflict: not found/);
      expect(await latest('strict')).toBe('one');
    },
  );
});

describe('a pending value', () => {
  test('is a version of a sibling: Google’s own clients’ latest and our lists don’t see it', async () => {
    await put('rotated', 'now');
    const pending = await stage('rotated', 'next', { ifAbsent: true });
    expect(pending.id).toMatch(/^pending:[0-9a-f]{8}-1$/);
    expect(await latest('rotated')).toBe('now');
    expect(await readText(store, 'rotated')).toBe('now');
    expect(await readText(store, 'rotated', { stage: 'pending' })).toBe('next');
    expect(await readText(store, 'rotated', { version: pending.id })).toBe('next');
    expect(await names()).toContain('rotated--secrets-pending');
    expect((await all(store.list({ prefix: 'rotated' }, now()))).map(({ name }) => name)).toEqual([
      'rotated',
    ]);
    expect(await failure(stage('rotated', 'other', { ifAbsent: true }))).toMatch(
      /^Conflict: a pending version is there already/,
    );
    const promoted = await store.makeCurrent?.('rotated', pending.id, now());
    expect(promoted).toMatchObject({ id: '2', stages: ['current'] });
    expect(await latest('rotated')).toBe('next');
    expect(await names()).not.toContain('rotated--secrets-pending');
    for (let again = 0; again < 2; again += 1)
      expect((await store.makeCurrent?.('rotated', pending.id, now()))?.id).toBe('2');
    expect((await all(store.history?.('rotated', now()))).length).toBe(2);
  });

  test('has an id that never means a later one’s value', async () => {
    await put('reused', 'now');
    const first = await stage('reused', 'first');
    await store.purge?.('reused', first.id, now());
    const second = await stage('reused', 'second');
    expect(second.id).not.toBe(first.id);
    expect(await failure(readText(store, 'reused', { version: first.id }))).toMatch(/^NotFound/);
    expect(await failure(store.purge?.('reused', first.id, now()) ?? Promise.resolve())).toMatch(/^NotFound/);
    expect(await failure(store.makeCurrent?.('reused', first.id, now()) ?? Promise.resolve())).toMatch(
      /^NotFound/,
    );
    expect(await readText(store, 'reused', { stage: 'pending' })).toBe('second');
    const third = await stage('reused', 'third');
    expect(await failure(readText(store, 'reused', { version: second.id }))).toMatch(/^NotFound/);
    await expect(
      native.accessSecretVersion({ name: `${full('reused--secrets-pending')}/versions/1` }),
    ).rejects.toThrow(/DESTROYED/);
    expect(await readText(store, 'reused', { version: third.id })).toBe('third');
  });

  test('may come before its secret, and brings its labels along', async () => {
    const { id } = await stage('unborn', 'first', {
      labels: { team: 'pay', Owner: 'Jane Doe' },
      description: 'd',
    });
    expect(await failure(readText(store, 'unborn'))).toMatch(/^NotFound/);
    expect((await all(store.list({ prefix: 'unborn' }, now()))).length).toBe(0);
    expect((await all(store.history?.('unborn', now()))).map(({ stages }) => stages)).toEqual([['pending']]);
    expect((await store.makeCurrent?.('unborn', id, now()))?.id).toBe('1');
    expect(await store.describe('unborn', now())).toMatchObject({
      labels: { team: 'pay', Owner: 'Jane Doe' },
      description: 'd',
    });
  });

  test.each(['delete', 'purge'] as const)('goes with its secret at %s', async (how) => {
    const name = `with-${how}`;
    await put(name, 'now');
    await stage(name, 'next');
    if (how === 'delete') await store.delete(name, {}, now());
    else await store.purge?.(name, undefined, now());
    expect((await names()).filter((one) => one.startsWith(name))).toEqual(how === 'delete' ? [name] : []);
    await stage(`alone-${how}`, 'next');
    await store.purge?.(`alone-${how}`, undefined, now());
    expect(await names()).not.toContain(`alone-${how}--secrets-pending`);
    expect(await failure(store.purge?.(`alone-${how}`, undefined, now()) ?? Promise.resolve())).toMatch(
      /^NotFound/,
    );
  });

  test('of a long name is refused before any call, and the name itself is not', async () => {
    const name = 'n'.repeat(239);
    await put(name, 'now');
    expect(await failure(stage(name, 'next'))).toMatch(/^Invalid: .* at most 238 characters/);
    expect((await all(store.history?.(name, now()))).length).toBe(1);
    await store.purge?.(name, undefined, now());
  });

  test('is claimed by one of ten, also where a claim was left empty', async () => {
    await put('contested', 'now');
    await native.createSecret({
      parent: `projects/${bench.gcp.project}`,
      secretId: 'contested--secrets-pending',
      secret: { replication: { automatic: {} }, annotations: { 'secrets-write': '0:dead' } },
    });
    const claims = Array.from({ length: 10 }, (_, index) =>
      failure(stage('contested', `${index}`, { ifAbsent: true })),
    );
    const kinds = (await Promise.all(claims)).map((text) => text.split(':', 1)[0]);
    expect(kinds.filter((kind) => kind === 'no error').length).toBe(1);
    expect(kinds.filter((kind) => kind === 'Conflict').length).toBe(9);
    expect(await readText(store, 'contested', { stage: 'pending' })).toBe(String(kinds.indexOf('no error')));
  });

  test('promoted twice at once makes one version', async () => {
    await put('raced', 'now');
    const { id } = await stage('raced', 'next');
    const promotions = await Promise.all(
      Array.from({ length: 4 }, async () => store.makeCurrent?.('raced', id, now())),
    );
    expect(promotions.map((version) => version?.id)).toEqual(['2', '2', '2', '2']);
    expect((await all(store.history?.('raced', now()))).map((version) => version.id)).toEqual(['2', '1']);
  });

  describe.each(['cut', 'lose'] as const)('whose promotion is broken off (%s) at any request', (how) => {
    test('is promoted once by the next', async () => {
      const name = `broken-${how}`;
      let requests = Infinity;
      for (let at = startOf(EVERY); at < requests; at += EVERY) {
        const secret = `${name}-${at}`;
        await put(secret, 'now');
        const { id } = await stage(secret, 'next');
        // From one request on nothing gets through any more: the machine is lost.
        const { signal, cut } = timeIsUp();
        const middleman = await startMiddleman(bench.gcp, (_, index) =>
          index < at ? undefined : index === at && how === 'lose' ? how : cut(),
        );
        const lost = bench.store(admin, { endpoint: middleman.url });
        const outcome = await failure(lost.makeCurrent?.(secret, id, { signal }) ?? Promise.resolve());
        await lost.close();
        await middleman.stop();
        if (outcome === 'no error') requests = at;
        else expect(outcome).toMatch(/^Unavailable/);
        expect(['now', 'next']).toContain(await latest(secret));
        expect((await store.makeCurrent?.(secret, id, now()))?.id).toBe('2');
        expect(await latest(secret)).toBe('next');
        expect((await all(store.history?.(secret, now()))).map((version) => version.id)).toEqual(['2', '1']);
        expect(await names()).not.toContain(`${secret}--secrets-pending`);
      }
      expect(requests).toBeGreaterThan(5);
    });
  });
});

describe('a soft deletion', () => {
  test('that is broken off at any request is finished by the next, and can be undone', async () => {
    let requests = Infinity;
    for (let at = startOf(EVERY); at < requests; at += EVERY) {
      const name = `half-gone-${at}`;
      await put(name, 'one');
      await put(name, 'two');
      const { signal, cut } = timeIsUp();
      const middleman = await startMiddleman(bench.gcp, (_, index) => (index < at ? undefined : cut()));
      const lost = bench.store(admin, { endpoint: middleman.url });
      const outcome = await failure(lost.delete(name, {}, { signal }));
      await lost.close();
      await middleman.stop();
      if (outcome === 'no error') requests = at;
      // Everything but the sibling's removal may be done by now.
      expect(await failure(store.delete(name, {}, now()))).toMatch(
        /^(no error|NotFound: is already deleted)/,
      );
      expect(await failure(readText(store, name))).toMatch(/^NotFound: is deleted/);
      await store.restore?.(name, now());
      expect(await readText(store, name)).toBe('two');
      expect(await readText(store, name, { version: '1' })).toBe('one');
    }
    expect(requests).toBeGreaterThan(3);
  });
});
