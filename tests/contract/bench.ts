/** A proxy in front of the real server, and stores on either side of it, for the tests of faults. */
import type { SecretsError } from '../../src/core/errors.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { bytes, type Contract, freshName, now, pause, textOf } from './kit.ts';

export const BODY_MARK = 'mark-of-the-body';
export const VALUE_MARK = 'mark-of-the-value';
/** For tests in which each request of a call fails in its turn, and is tried again after a wait. */
export const LONG = 240_000;

export interface Bench {
  /** Name of a secret whose value is `known`. */
  readonly known: string;
  proxy(): FaultProxy;
  /** A store that does not go through the proxy. */
  direct(): Provider;
  /** A store behind the proxy that has used the server before, or one that has not. */
  through(warm?: boolean): Promise<Provider>;
  /** An error holds no value, no body and no credential. */
  expectDiscreet(error: SecretsError | undefined): void;
  /** No retry is left running: nothing reaches the server any more. */
  expectSilence(ms: number): Promise<void>;
}

/** A `describe` with a bench; nothing for a contract that says nothing of a proxy. */
export function behindProxy(contract: Contract, title: string, body: (bench: Bench) => void): void {
  const { openThrough, upstream } = contract;
  if (openThrough === undefined || upstream === undefined) return;
  describe(title, () => {
    let proxy: FaultProxy;
    let direct: Provider;
    const known = freshName(contract);
    const opened: Provider[] = [];

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

    body({
      known,
      proxy: () => proxy,
      direct: () => direct,
      through: async (warm = true) => {
        const provider = await openThrough(proxy.url);
        opened.push(provider);
        if (warm) expect(await textOf(provider, { name: known })).toBe('known');
        return provider;
      },
      expectDiscreet: (error) => {
        const text = `${error?.message ?? ''} ${error?.hint ?? ''}`;
        for (const secret of [BODY_MARK, VALUE_MARK, ...(contract.credentials?.() ?? [])])
          expect(text).not.toContain(secret);
      },
      expectSilence: async (ms) => {
        const before = proxy.requests.length;
        await pause(ms);
        expect(proxy.requests.length).toBe(before);
      },
    });
  });
}
