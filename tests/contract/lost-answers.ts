/**
 * The contract's part on answers that are lost: what is said of a write agrees with what the server has, and what
 * broke off halfway can be repeated.
 */
import type { SecretsError } from '../../src/core/errors.ts';
import type { CallOptions } from '../../src/providers/call.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { sampled } from '../size.ts';
import { behindProxy, LONG, VALUE_MARK } from './bench.ts';
import type { Fault } from './fault-proxy.ts';
import {
  all,
  bytes,
  type Contract,
  errorOf,
  freshName,
  kindOf,
  now,
  readOne,
  textOf,
  within,
} from './kit.ts';

/** After how many of these requests something goes wrong; a small run tries half of them. */
const skipsOf = (requests: number): readonly number[] =>
  sampled(
    Array.from({ length: requests }, (_, index) => index),
    2,
  );

/** What may go wrong after the server has acted. */
const LOST: readonly (readonly [string, Fault])[] = [
  ['lost', 'lost'],
  ['replaced by a 500', { answer: { status: 500 }, afterwards: true }],
  ['replaced by a page', { answer: { status: 200, body: '<!doctype html>' }, afterwards: true }],
];

export function itLosesNoAnswer(contract: Contract): void {
  behindProxy(contract, 'when answers are lost', (bench) => {
    const value = bytes(VALUE_MARK);

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
      const { id } = await bench.direct().put(name, { value: bytes('old') }, now());
      const provider = await bench.through(false);
      bench.proxy().heal();
      await write(provider, name, id, now());
      return bench.proxy().requests.length;
    };
    const versions = async (name: string): Promise<number> => {
      const { history, capabilities } = bench.direct();
      if (history === undefined || !capabilities.has('versions')) return 0;
      return (await all(history.call(bench.direct(), name, now()))).length;
    };

    /** What was said of the write agrees with what the server has. */
    const expectTruth = async (name: string, error: SecretsError | undefined): Promise<void> => {
      const text = await textOf(bench.direct(), { name });
      expect(['old', VALUE_MARK]).toContain(text);
      expect(await versions(name)).toBeLessThanOrEqual(2);
      bench.expectDiscreet(error);
      if (error === undefined) {
        expect(text).toBe(VALUE_MARK);
        return;
      }
      expect(error.kind).toBe('Unavailable');
      if (text === VALUE_MARK) expect(error.message).toMatch(/may have been made|(is|was) written/);
    };

    test.each(
      sampled(
        LOST.flatMap(([how, fault]) => writes.map(([what, write]) => [what, how, fault, write] as const)),
        4,
      ),
    )(
      '%s: an answer that is %s leads to one version at most, and to no wrong claim',
      async (_what, _how, fault, write) => {
        const requests = await countRequests(write);
        for (const skip of skipsOf(requests)) {
          const name = freshName(contract);
          const { id } = await bench.direct().put(name, { value: bytes('old') }, now());
          const provider = await bench.through(false);
          bench.proxy().heal();
          bench.proxy().fault(fault, { skip, times: 1 });
          const error = await errorOf(write(provider, name, id, now()));
          bench.proxy().heal();
          await expectTruth(name, error);
        }
      },
      LONG,
    );

    test.each(sampled(writes, 3))(
      '%s: a deadline at any of its requests leaves a known state',
      async (_what, write) => {
        const requests = await countRequests(write);
        for (const skip of skipsOf(requests)) {
          const name = freshName(contract);
          const { id } = await bench.direct().put(name, { value: bytes('old') }, now());
          const provider = await bench.through(false);
          bench.proxy().heal();
          bench.proxy().fault('stall', { skip });
          const error = await errorOf(write(provider, name, id, within(1000)));
          await bench.expectSilence(200);
          bench.proxy().heal();
          // Whatever is sent after the write itself may be given up without spoiling it.
          await expectTruth(name, error);
        }
      },
      LONG,
    );

    test(
      'a first put whose answer is lost is not taken for somebody else’s',
      async () => {
        const requests = await countRequests((provider, _name, _base, options) =>
          provider.put(freshName(contract), { value }, options),
        );
        for (const skip of skipsOf(requests + 1)) {
          const name = freshName(contract);
          const provider = await bench.through(false);
          bench.proxy().heal();
          bench.proxy().fault('lost', { skip, times: 1 });
          const ifAbsent = provider.capabilities.has('cas') ? { ifAbsent: true } : {};
          const error = await errorOf(provider.put(name, { value, ...ifAbsent }, now()));
          bench.proxy().heal();
          expect(error?.kind ?? 'Unavailable').toBe('Unavailable');
          const there = (await kindOf(readOne(bench.direct(), { name }))) === 'no error';
          if (error === undefined) expect(there).toBe(true);
          else if (there) expect(error.message).toMatch(/may have been made|(is|was) written/);
        }
      },
      LONG,
    );

    /** The number of requests of a call on a store that is used for the first time. */
    const requestsOf = async (call: (provider: Provider) => Promise<unknown>): Promise<number> => {
      const provider = await bench.through(false);
      bench.proxy().heal();
      await call(provider);
      return bench.proxy().requests.length;
    };
    const staged = async (): Promise<{ name: string; id: string }> => {
      const name = freshName(contract);
      await bench.direct().put(name, { value: bytes('old') }, now());
      const { id } = await bench.direct().put(name, { value, stage: 'pending' }, now());
      return { name, id };
    };

    test(
      'a claim whose answer is lost is not taken for somebody else’s',
      async () => {
        if (!bench.direct().capabilities.has('stages')) return;
        const ifAbsent = bench.direct().capabilities.has('cas') ? { ifAbsent: true } : {};
        const claim = async (provider: Provider): Promise<string> => {
          const name = freshName(contract);
          await bench.direct().put(name, { value: bytes('old') }, now());
          const error = await errorOf(provider.put(name, { value, stage: 'pending', ...ifAbsent }, now()));
          expect(await textOf(bench.direct(), { name })).toBe('old');
          const there = (await kindOf(readOne(bench.direct(), { name, stage: 'pending' }))) === 'no error';
          expect(error?.kind ?? 'Unavailable').toBe('Unavailable');
          if (error === undefined) expect(there).toBe(true);
          else if (there) expect(error.message).toMatch(/may have been made|(is|was) written/);
          return name;
        };
        const requests = await requestsOf(claim);
        for (const skip of skipsOf(requests)) {
          const provider = await bench.through(false);
          bench.proxy().heal();
          bench.proxy().fault('lost', { skip, times: 1 });
          await claim(provider);
        }
      },
      LONG,
    );

    test(
      'a promotion or a discard that breaks off anywhere can be repeated',
      async () => {
        if (!bench.direct().capabilities.has('stages') || bench.direct().makeCurrent === undefined) return;
        for (const promote of [true, false]) {
          const act = (provider: Provider, { name, id }: { name: string; id: string }): Promise<unknown> =>
            promote
              ? (provider.makeCurrent?.(name, id, now()) ?? Promise.resolve())
              : (provider.purge?.(name, id, now()) ?? Promise.resolve());
          const first = await staged();
          const requests = await requestsOf((provider) => act(provider, first));
          for (const fault of ['lost', 'reset'] as const)
            for (const skip of skipsOf(requests)) {
              const target = await staged();
              const provider = await bench.through(false);
              bench.proxy().heal();
              // Whatever it tries again fails too: the process is as good as killed here.
              bench.proxy().fault(fault, { skip });
              const error = await errorOf(act(provider, target));
              bench.proxy().heal();
              if (error !== undefined) expect(error.kind).toBe('Unavailable');
              expect(await kindOf(act(bench.direct(), target))).toMatch(/^(no error|NotFound)$/);
              const { name } = target;
              expect(await textOf(bench.direct(), { name })).toBe(promote ? VALUE_MARK : 'old');
              expect(await kindOf(readOne(bench.direct(), { name, stage: 'pending' }))).toBe('NotFound');
              if (promote) expect(await textOf(bench.direct(), { name, stage: 'previous' })).toBe('old');
            }
        }
      },
      LONG,
    );

    test(
      'a deletion whose answer is lost is done, or in doubt, but never NotFound',
      async () => {
        const name = freshName(contract);
        await bench.direct().put(name, { value }, now());
        const counted = await bench.through(false);
        bench.proxy().heal();
        await counted.delete(name, {}, now());
        const requests = bench.proxy().requests.length;
        for (const skip of skipsOf(requests)) {
          const next = freshName(contract);
          await bench.direct().put(next, { value }, now());
          const provider = await bench.through(false);
          bench.proxy().heal();
          bench.proxy().fault('lost', { skip, times: 1 });
          const error = await errorOf(provider.delete(next, {}, now()));
          bench.proxy().heal();
          const there = (await kindOf(readOne(bench.direct(), { name: next }))) === 'no error';
          if (error === undefined) expect(there).toBe(false);
          else {
            expect(error.kind).toBe('Unavailable');
            if (!there) expect(error.message).toMatch(/may have been made/);
          }
        }
      },
      LONG,
    );
  });
}
