/**
 * The contract's part on faults: a server that throttles, fails, answers garbage, breaks off or hangs gives one
 * clear error in time, no secret in it, no request left running, and no write whose outcome is claimed wrongly.
 */
import type { SecretsError } from '../../src/core/errors.ts';
import type { CallOptions, Provider } from '../../src/providers/provider.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import {
  all,
  bytes,
  type Contract,
  errorOf,
  freshName,
  kindOf,
  now,
  pause,
  readOne,
  textOf,
  within,
} from './kit.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const BODY_MARK = 'mark-of-the-body';
const VALUE_MARK = 'mark-of-the-value';
const json = (body: string): Fault => ({ answer: { status: 200, headers: JSON_TYPE, body } });
const status = (code: number, body = '', headers = {}): Fault => ({
  answer: { status: code, headers, body },
});
const page = `<!doctype html><title>Portal</title><p>${BODY_MARK}`;

/** Right keys, wrong types: a number where a map or a text belongs, and the other way round. */
const WRONG_TYPES = JSON.stringify(
  Object.fromEntries(
    ['data', 'value', 'payload', 'secrets', 'versions', 'name', 'Name', 'SecretString', 'SecretList']
      .map((key): [string, unknown] => [key, 7])
      .concat([
        ['VersionId', { mark: BODY_MARK }],
        ['id', [BODY_MARK]],
      ]),
  ),
);

const LASTING: readonly (readonly [string, 'Throttled' | 'Unavailable', Fault])[] = [
  ['429 with Retry-After', 'Throttled', status(429, '', { 'retry-after': '1' })],
  ['429 with a page', 'Throttled', status(429, page, { 'content-type': 'text/html' })],
  ['500 without a body', 'Unavailable', status(500)],
  ['500 with JSON', 'Unavailable', status(500, `{"message":"${BODY_MARK}"}`, JSON_TYPE)],
  ['502 with a page', 'Unavailable', status(502, page, { 'content-type': 'text/html' })],
  ['200 with a page', 'Unavailable', { answer: { status: 200, headers: {}, body: page } }],
  ['broken JSON', 'Unavailable', json(`{"data":"${BODY_MARK}`)],
  ['JSON that is null', 'Unavailable', json('null')],
  ['JSON that is a text', 'Unavailable', json(`"${BODY_MARK}"`)],
  ['JSON that is a list', 'Unavailable', json(`["${BODY_MARK}"]`)],
  ['JSON of the wrong types', 'Unavailable', json(WRONG_TYPES)],
  ['a truncated answer', 'Unavailable', 'truncated'],
  ['an answer without end', 'Unavailable', 'endless'],
  ['broken connections', 'Unavailable', 'reset'],
];

/** What may go wrong after the server has acted. */
const LOST: readonly (readonly [string, Fault])[] = [
  ['lost', 'lost'],
  ['replaced by a 500', { answer: { status: 500 }, afterwards: true }],
  ['replaced by a page', { answer: { status: 200, body: page }, afterwards: true }],
];

export function itStandsFaults(contract: Contract): void {
  const { openThrough, upstream } = contract;
  if (openThrough === undefined || upstream === undefined) return;

  describe('behind a proxy that misbehaves', () => {
    let proxy: FaultProxy;
    let direct: Provider;
    const known = freshName(contract);
    const opened: Provider[] = [];
    /** A store that has used the server before, or one that has not. */
    const through = async (warm = true): Promise<Provider> => {
      const provider = await openThrough(proxy.url);
      opened.push(provider);
      if (warm) expect(await textOf(provider, { name: known })).toBe('known');
      return provider;
    };
    const value = bytes(VALUE_MARK);
    const get = (provider: Provider, options: CallOptions): Promise<unknown> =>
      readOne(provider, { name: known }, options);
    const put = (provider: Provider, options: CallOptions): Promise<unknown> =>
      provider.put(freshName(contract), { value }, options);
    const list = (provider: Provider, options: CallOptions): Promise<unknown> =>
      all(provider.list({ prefix: known }, options));

    beforeAll(async () => {
      direct = await contract.open();
      proxy = await startFaultProxy(await upstream());
      await direct.put(known, { value: bytes('known') }, now());
    });
    afterEach(async () => {
      proxy.heal();
      await Promise.all(opened.splice(0).map((provider) => provider.close()));
    });
    afterAll(async () => {
      await proxy.stop();
      await direct.close();
    });

    const expectDiscreet = (error: SecretsError | undefined): void => {
      const text = `${error?.message ?? ''} ${error?.hint ?? ''}`;
      for (const secret of [BODY_MARK, VALUE_MARK, ...(contract.credentials?.() ?? [])])
        expect(text).not.toContain(secret);
    };
    /** No retry is left running: nothing reaches the server any more. */
    const expectSilence = async (ms: number): Promise<void> => {
      const before = proxy.requests.length;
      await pause(ms);
      expect(proxy.requests.length).toBe(before);
    };

    test.each(LASTING)('%s without end is %s for get, put and list', async (title, kind, fault) => {
      const [cold, ...warm] = [await through(false), await through(), await through(), await through()];
      proxy.fault(fault);
      const [first, second, third] = warm as [Provider, Provider, Provider];
      const options = within(25_000);
      const [coldGet, warmGet, putError, listError] = await Promise.all([
        errorOf(get(cold as Provider, options)),
        errorOf(get(first, options)),
        errorOf(put(second, options)),
        errorOf(list(third, options)),
      ]);
      expect(options.signal.aborted).toBe(false);
      const lenient = contract.lenientList !== undefined && title.startsWith('JSON');
      const kinds = [coldGet, warmGet, putError, listError].map((error) => error?.kind ?? 'no error');
      expect(kinds).toEqual([kind, kind, kind, lenient ? expect.stringMatching(/no error|Unav/) : kind]);
      for (const error of [coldGet, warmGet, putError, listError]) expectDiscreet(error);
      expect(proxy.endlessBytes).toBeLessThan(400 * 1024 * 1024);
      await expectSilence(300);
    });

    test('JSON without anything in it is no secret and no version', async () => {
      const [first, second] = [await through(), await through()];
      proxy.fault(json('{}'));
      const kinds = await Promise.all([kindOf(get(first, now())), kindOf(put(second, now()))]);
      expect(kinds).toEqual(['Unavailable', 'Unavailable']);
    });

    test('a batch reports a failing server for each secret, and does not reject', async () => {
      const provider = await through();
      const names = [known, freshName(contract), freshName(contract)];
      proxy.fault(status(500));
      const results = await provider.get(
        names.map((name) => ({ name })),
        now(),
      );
      expect(results.map((result) => (result.ok ? 'found' : result.error.kind))).toEqual(
        names.map(() => 'Unavailable'),
      );
    });

    test('waits as long as one 429 asks for, then succeeds', async () => {
      for (const call of [get, put, list]) {
        const provider = await through();
        proxy.heal();
        proxy.fault(status(429, '', { 'retry-after': '1' }), { times: 1 });
        expect(await kindOf(call(provider, now()))).toBe('no error');
        const [first, second] = proxy.requests;
        expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(950);
        proxy.heal();
      }
    });

    test.each([
      ['a 500', status(500)],
      ['a broken connection', 'reset'],
    ] as const)('reads again after %s', async (_title, fault) => {
      for (const warm of [true, false])
        for (const call of [get, list]) {
          const provider = await through(warm);
          proxy.fault(fault, { times: 1 });
          expect(await kindOf(call(provider, now()))).toBe('no error');
          proxy.heal();
        }
    });

    test.each([
      ['a server that hangs', 'hang'],
      ['an answer that drips', 'drip'],
      ['a server that throttles', status(429, '', { 'retry-after': '2' })],
    ] as const)('with %s the deadline ends every call, and nothing goes on', async (_title, fault) => {
      const providers = [await through(false), await through(), await through(), await through()];
      proxy.fault(fault);
      const started = Date.now();
      const calls = [get, get, put, list];
      const errors = await Promise.all(
        calls.map((call, index) => errorOf(call(providers[index] as Provider, within(800)))),
      );
      expect(Date.now() - started).toBeLessThan(3500);
      expect(errors.map((error) => error?.kind)).toEqual(calls.map(() => 'Unavailable'));
      for (const error of errors) expectDiscreet(error);
      await expectSilence(2500);
    });

    type Write = (provider: Provider, name: string, base: string, options: CallOptions) => Promise<unknown>;
    const writes: readonly (readonly [string, Write])[] = [
      ['put', (provider, name, _base, options) => provider.put(name, { value }, options)],
      [
        'put with ifVersion',
        (provider, name, ifVersion, options) =>
          provider.put(name, { value, ...(provider.capabilities.has('cas') ? { ifVersion } : {}) }, options),
      ],
      [
        'put with a label',
        (provider, name, _base, options) =>
          provider.put(
            name,
            { value, ...(provider.capabilities.has('labels') && { labels: { team: 'pay' } }) },
            options,
          ),
      ],
    ];
    /** How many requests a write on a store that is used for the first time makes when all is well. */
    const countRequests = async (write: Write): Promise<number> => {
      const name = freshName(contract);
      const { id } = await direct.put(name, { value: bytes('old') }, now());
      const provider = await through(false);
      proxy.heal();
      await write(provider, name, id, now());
      return proxy.requests.length;
    };
    const versions = async (name: string): Promise<number> =>
      direct.history === undefined || !direct.capabilities.has('versions')
        ? 0
        : (await all(direct.history(name, now()))).length;

    /** What was said of the write agrees with what the server has. */
    const expectTruth = async (name: string, error: SecretsError | undefined): Promise<void> => {
      const text = await textOf(direct, { name });
      expect(['old', VALUE_MARK]).toContain(text);
      expect(await versions(name)).toBeLessThanOrEqual(2);
      expectDiscreet(error);
      if (error === undefined) {
        expect(text).toBe(VALUE_MARK);
        return;
      }
      expect(error.kind).toBe('Unavailable');
      if (text === VALUE_MARK) expect(error.message).toMatch(/may have been made|is written/);
    };

    test.each(
      LOST.flatMap(([how, fault]) => writes.map(([what, write]) => [what, how, fault, write] as const)),
    )(
      '%s: an answer that is %s leads to one version at most, and to no wrong claim',
      async (_what, _how, fault, write) => {
        const requests = await countRequests(write);
        for (let skip = 0; skip < requests; skip += 1) {
          const name = freshName(contract);
          const { id } = await direct.put(name, { value: bytes('old') }, now());
          const provider = await through(false);
          proxy.heal();
          proxy.fault(fault, { skip, times: 1 });
          const error = await errorOf(write(provider, name, id, now()));
          proxy.heal();
          await expectTruth(name, error);
        }
      },
    );

    test.each(writes)('%s: a deadline at any of its requests leaves a known state', async (_what, write) => {
      const requests = await countRequests(write);
      for (let skip = 0; skip < requests; skip += 1) {
        const name = freshName(contract);
        const { id } = await direct.put(name, { value: bytes('old') }, now());
        const provider = await through(false);
        proxy.heal();
        proxy.fault('stall', { skip });
        const error = await errorOf(write(provider, name, id, within(1000)));
        await expectSilence(200);
        proxy.heal();
        // Whatever is sent after the write itself may be given up without spoiling it.
        await expectTruth(name, error);
      }
    });

    test('a first put whose answer is lost is not taken for somebody else’s', async () => {
      const requests = await countRequests((provider, _name, _base, options) => put(provider, options));
      for (let skip = 0; skip < requests + 1; skip += 1) {
        const name = freshName(contract);
        const provider = await through(false);
        proxy.heal();
        proxy.fault('lost', { skip, times: 1 });
        const ifAbsent = provider.capabilities.has('cas') ? { ifAbsent: true } : {};
        const error = await errorOf(provider.put(name, { value, ...ifAbsent }, now()));
        proxy.heal();
        expect(error?.kind ?? 'Unavailable').toBe('Unavailable');
        const there = (await kindOf(readOne(direct, { name }))) === 'no error';
        if (error === undefined) expect(there).toBe(true);
        else if (there) expect(error.message).toMatch(/may have been made|is written/);
      }
    });

    /** The number of requests of a call on a store that is used for the first time. */
    const requestsOf = async (call: (provider: Provider) => Promise<unknown>): Promise<number> => {
      const provider = await through(false);
      proxy.heal();
      await call(provider);
      return proxy.requests.length;
    };
    const staged = async (): Promise<{ name: string; id: string }> => {
      const name = freshName(contract);
      await direct.put(name, { value: bytes('old') }, now());
      const { id } = await direct.put(name, { value, stage: 'pending' }, now());
      return { name, id };
    };

    test('a claim whose answer is lost is not taken for somebody else’s', async () => {
      if (!direct.capabilities.has('stages')) return;
      const ifAbsent = direct.capabilities.has('cas') ? { ifAbsent: true } : {};
      const claim = async (provider: Provider): Promise<string> => {
        const name = freshName(contract);
        await direct.put(name, { value: bytes('old') }, now());
        const error = await errorOf(provider.put(name, { value, stage: 'pending', ...ifAbsent }, now()));
        expect(await textOf(direct, { name })).toBe('old');
        const there = (await kindOf(readOne(direct, { name, stage: 'pending' }))) === 'no error';
        expect(error?.kind ?? 'Unavailable').toBe('Unavailable');
        if (error === undefined) expect(there).toBe(true);
        else if (there) expect(error.message).toMatch(/may have been made|is written/);
        return name;
      };
      const requests = await requestsOf(claim);
      for (let skip = 0; skip < requests; skip += 1) {
        const provider = await through(false);
        proxy.heal();
        proxy.fault('lost', { skip, times: 1 });
        await claim(provider);
      }
    });

    test('a promotion or a discard that breaks off anywhere can be repeated', async () => {
      if (!direct.capabilities.has('stages') || direct.makeCurrent === undefined) return;
      for (const promote of [true, false]) {
        const act = (provider: Provider, { name, id }: { name: string; id: string }): Promise<unknown> =>
          promote
            ? (provider.makeCurrent?.(name, id, now()) ?? Promise.resolve())
            : (provider.purge?.(name, id, now()) ?? Promise.resolve());
        const first = await staged();
        const requests = await requestsOf((provider) => act(provider, first));
        for (const fault of ['lost', 'reset'] as const)
          for (let skip = 0; skip < requests; skip += 1) {
            const target = await staged();
            const provider = await through(false);
            proxy.heal();
            // Whatever it tries again fails too: the process is as good as killed here.
            proxy.fault(fault, { skip });
            const error = await errorOf(act(provider, target));
            proxy.heal();
            if (error !== undefined) expect(error.kind).toBe('Unavailable');
            expect(await kindOf(act(direct, target))).toMatch(/^(no error|NotFound)$/);
            const { name } = target;
            expect(await textOf(direct, { name })).toBe(promote ? VALUE_MARK : 'old');
            expect(await kindOf(readOne(direct, { name, stage: 'pending' }))).toBe('NotFound');
            if (promote) expect(await textOf(direct, { name, stage: 'previous' })).toBe('old');
          }
      }
    });

    test('a deletion whose answer is lost is done, or in doubt, but never NotFound', async () => {
      const name = freshName(contract);
      await direct.put(name, { value }, now());
      const counted = await through(false);
      proxy.heal();
      await counted.delete(name, {}, now());
      const requests = proxy.requests.length;
      for (let skip = 0; skip < requests; skip += 1) {
        const next = freshName(contract);
        await direct.put(next, { value }, now());
        const provider = await through(false);
        proxy.heal();
        proxy.fault('lost', { skip, times: 1 });
        const error = await errorOf(provider.delete(next, {}, now()));
        proxy.heal();
        const there = (await kindOf(readOne(direct, { name: next }))) === 'no error';
        if (error === undefined) expect(there).toBe(false);
        else {
          expect(error.kind).toBe('Unavailable');
          if (!there) expect(error.message).toMatch(/may have been made/);
        }
      }
    });
  });
}
