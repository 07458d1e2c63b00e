/**
 * The contract's part on faults: a server that throttles, fails, answers garbage, breaks off or hangs gives one
 * clear error in time, with no secret in it and no request left running.
 */
import type { CallOptions } from '../../src/providers/call.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { behindProxy, BODY_MARK, LONG, VALUE_MARK } from './bench.ts';
import type { Fault } from './fault-proxy.ts';
import { sampled } from '../size.ts';
import { all, bytes, type Contract, errorOf, freshName, kindOf, now, readOne, within } from './kit.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
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

/** docs/exec.md, "Calls". */
const MAX_CALLS_AT_A_TIME = 16;

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

export function itStandsFaults(contract: Contract): void {
  behindProxy(contract, 'behind a proxy that misbehaves', (bench) => {
    const { known } = bench;
    const value = bytes(VALUE_MARK);
    const get = (provider: Provider, options: CallOptions): Promise<unknown> =>
      readOne(provider, { name: known }, options);
    const put = (provider: Provider, options: CallOptions): Promise<unknown> =>
      provider.put(freshName(contract), { value }, options);
    const list = (provider: Provider, options: CallOptions): Promise<unknown> =>
      all(provider.list({ prefix: known }, options));

    test('60 names are asked for with no more calls at a time than documented', async () => {
      const provider = await bench.through();
      bench.proxy().heal();
      const requests = Array.from({ length: 60 }, (_, index) => ({ name: `${known}${index}` }));
      const results = await provider.get([{ name: known }, ...requests], within(60_000));
      expect(results.map((result) => (result.ok ? 'found' : result.error.kind))).toEqual([
        'found',
        ...requests.map(() => 'NotFound'),
      ]);
      expect(bench.proxy().peak).toBeGreaterThan(0);
      expect(bench.proxy().peak).toBeLessThanOrEqual(MAX_CALLS_AT_A_TIME);
    });

    test.each(sampled(LASTING, 3))(
      '%s without end is %s for get, put and list',
      async (title, kind, fault) => {
        const [cold, ...warm] = [
          await bench.through(false),
          await bench.through(),
          await bench.through(),
          await bench.through(),
        ];
        bench.proxy().fault(fault);
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
        for (const error of [coldGet, warmGet, putError, listError]) bench.expectDiscreet(error);
        expect(bench.proxy().endlessBytes).toBeLessThan(400 * 1024 * 1024);
        await bench.expectSilence(300);
      },
      LONG,
    );

    test('JSON without anything in it is no secret and no version', async () => {
      const [first, second] = [await bench.through(), await bench.through()];
      bench.proxy().fault(json('{}'));
      const kinds = await Promise.all([kindOf(get(first, now())), kindOf(put(second, now()))]);
      expect(kinds).toEqual(['Unavailable', 'Unavailable']);
    });

    test('a batch reports a failing server for each secret, and does not reject', async () => {
      const provider = await bench.through();
      const names = [known, freshName(contract), freshName(contract)];
      bench.proxy().fault(status(500));
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
        const provider = await bench.through();
        bench.proxy().heal();
        bench.proxy().fault(status(429, '', { 'retry-after': '1' }), { times: 1 });
        expect(await kindOf(call(provider, now()))).toBe('no error');
        const [first, second] = bench.proxy().requests;
        expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(950);
        bench.proxy().heal();
      }
    });

    test.each([
      ['a 500', status(500)],
      ['a broken connection', 'reset'],
    ] as const)('reads again after %s', async (_title, fault) => {
      for (const warm of [true, false])
        for (const call of [get, list]) {
          const provider = await bench.through(warm);
          bench.proxy().fault(fault, { times: 1 });
          expect(await kindOf(call(provider, now()))).toBe('no error');
          bench.proxy().heal();
        }
    });

    test.each([
      ['a server that hangs', 'hang'],
      ['an answer that drips', 'drip'],
      ['a server that throttles', status(429, '', { 'retry-after': '2' })],
    ] as const)('with %s the deadline ends every call, and nothing goes on', async (_title, fault) => {
      const providers = [
        await bench.through(false),
        await bench.through(),
        await bench.through(),
        await bench.through(),
      ];
      bench.proxy().fault(fault);
      const calls = [get, get, put, list];
      const errors = await Promise.all(
        calls.map((call, index) => errorOf(call(providers[index] as Provider, within(800)))),
      );
      expect(errors.map((error) => error?.kind)).toEqual(calls.map(() => 'Unavailable'));
      for (const error of errors) bench.expectDiscreet(error);
      await bench.expectSilence(2500);
    });
  });
}
