/** What the tests of rotations share: a system that takes credentials, machines that rotate, and their sudden death. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SecretsError } from '../../src/core/errors.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { Engine } from '../../src/rotation/engine.ts';
import type { EngineOptions, Outcome } from '../../src/rotation/run.ts';
import { Watch } from '../../src/rotation/lease.ts';
import { LockedPlace } from '../../src/rotation/locked-place.ts';
import { CLAIM_KEY, credentialOf, SecretPlace, type Stages } from '../../src/rotation/place.ts';
import type { Credential, Target, Verdict } from '../../src/rotation/target.ts';

/**
 * When whoever rotates dies: before the first thing that it does to the world, and after each of these. It does one after
 * the other, so that whoever dies after one has left what is there before the next.
 */
export function momentsOf(points: readonly number[]): readonly (readonly [number, 'before' | 'after'])[] {
  return [[1, 'before'], ...points.map((point) => [point, 'after'] as const)];
}

export interface Manner {
  readonly title: string;
  /** Accepting a password ends the one before. */
  readonly replaces: boolean;
  readonly issues: boolean;
  readonly verifies: boolean;
}

export const MANNERS: readonly Manner[] = [
  { title: 'has one password', replaces: true, issues: false, verifies: true },
  { title: 'has several passwords', replaces: false, issues: false, verifies: true },
  { title: 'has one password and can’t be asked', replaces: true, issues: false, verifies: false },
  { title: 'makes its keys, two at most', replaces: false, issues: true, verifies: true },
];

const passwordOf = ({ value, fields }: Credential): string =>
  typeof fields?.['password'] === 'string' ? fields['password'] : Buffer.from(value).toString();

/** A system with passwords, in memory: what it accepts is looked at by the test itself. */
export class FakeSystem {
  readonly accepts = new Set<string>();
  readonly manner: Manner;
  /** Keys that it made, by the rotation that asked. */
  readonly made = new Map<string, string>();
  /** Runs before a call; may throw. */
  trouble: (call: string) => void | Promise<void> = () => {};
  /** As a test of a take-over wants it: says yes, does nothing. */
  lies = false;
  changes = 0;
  #count = 0;

  constructor(manner: Manner, first: string) {
    this.manner = manner;
    this.accepts.add(first);
  }

  accepted(credential: Credential): boolean {
    return this.accepts.has(passwordOf(credential));
  }

  target(): Target {
    const { manner } = this;
    const known = (...all: (Credential | undefined)[]): string[] =>
      all.flatMap((one) => (one === undefined ? [] : [passwordOf(one)]));
    const forget = (rotation: string, keep: readonly string[]): void => {
      const orphan = this.made.get(rotation);
      if (orphan !== undefined && !keep.includes(orphan)) this.accepts.delete(orphan);
    };
    return {
      limitKey: () => undefined,
      check: async () => [],
      apply: async (credential) => {
        await this.trouble('apply');
        if (this.lies) return;
        const password = passwordOf(credential);
        if (!this.accepts.has(password)) this.changes += 1;
        if (manner.issues) return;
        if (manner.replaces) this.accepts.clear();
        this.accepts.add(password);
      },
      verify: async (credential): Promise<Verdict> => {
        await this.trouble('verify');
        if (!manner.verifies) return 'unknown';
        return this.accepts.has(passwordOf(credential)) ? 'accepted' : 'refused';
      },
      ...(manner.issues && {
        issue: async ({ current, pending, previous }, { id }) => {
          await this.trouble('issue');
          forget(id, known(current, pending, previous));
          if (this.accepts.size >= 2) throw new SecretsError('Conflict', 'there are two keys already');
          this.#count += 1;
          const password = `made-${this.#count}`;
          this.accepts.add(password);
          this.made.set(id, password);
          return credentialOf(Buffer.from(JSON.stringify({ ...current?.fields, password })));
        },
        abandon: async ({ current }, { id }) => {
          await this.trouble('abandon');
          forget(id, known(current));
        },
      }),
      ...(!manner.replaces && {
        retire: async (old, current, phase) => {
          await this.trouble('retire');
          if (phase === 'expired' && passwordOf(old) !== passwordOf(current))
            this.accepts.delete(passwordOf(old));
        },
      }),
      close: async () => {},
    };
  }
}

/** Dies at one of the calls that leave the process: before it is sent, or after it was done, unheard. */
export class Death {
  readonly #at: number;
  readonly #when: 'before' | 'after';
  readonly died: Promise<'died'>;
  calls = 0;
  #die: (word: 'died') => void = () => {};

  constructor(at: number, when: 'before' | 'after') {
    this.#at = at;
    this.#when = when;
    this.died = new Promise((resolve) => {
      this.#die = resolve;
    });
  }

  /** The same object, whose calls are counted; after the death none of them returns or does anything. */
  haunt<T extends object>(mortal: T): T {
    return new Proxy(mortal, {
      get: (object, name) => {
        const found: unknown = Reflect.get(object, name);
        if (typeof found !== 'function') return found;
        const method = found as (...args: unknown[]) => unknown;
        if (['limitKey', 'checkName', 'nativeId'].includes(String(name))) return method.bind(object);
        return async (...args: unknown[]) => {
          this.calls += 1;
          const mine = this.calls;
          if (mine > this.#at || (mine === this.#at && this.#when === 'before')) return this.#never();
          const answer = await method.apply(object, args);
          return mine === this.#at ? this.#never() : answer;
        };
      },
    });
  }

  /** Here and now, wherever that is. */
  now(): Promise<never> {
    return this.#never();
  }

  #never(): Promise<never> {
    this.#die('died');
    return new Promise(() => {});
  }
}

export interface RunOptions extends Partial<EngineOptions> {
  readonly death?: Death;
  /** The store that keeps the locks. */
  readonly lock?: Provider | undefined;
  /** Time for one call, in milliseconds. */
  readonly callMs?: number;
}

let machines = 0;

/** One run on a machine of its own, which has no files of any other. */
export async function rotateOn(
  provider: Provider,
  name: string,
  system: { target(): Target },
  { death, lock, callMs = 20_000, ...options }: RunOptions,
): Promise<Outcome | 'died'> {
  machines += 1;
  const machine = machines;
  const state = mkdtempSync(join(tmpdir(), 'secrets-rotation-'));
  const mortal = <T extends object>(one: T): T => (death === undefined ? one : death.haunt(one));
  const store = mortal(provider);
  const call = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(callMs) });
  const target = mortal(system.target());
  let values = 0;
  const engine = new Engine({
    intent: 'rotate',
    reference: `tested://${name}`,
    place:
      lock === undefined
        ? new SecretPlace(store, name, call)
        : new LockedPlace(
            store,
            name,
            call,
            { name: 'locks', provider: mortal(lock) },
            `tested://${name}`,
            () => {},
          ),
    target,
    generator: {
      title: 'test values',
      bits: 1,
      make: async () => {
        values += 1;
        return { value: `generated-${machine}-${values}`, bits: 1 };
      },
    },
    keys: ['password'],
    graceMs: 3_600_000,
    leaseMs: 60_000,
    takeOver: false,
    wait: false,
    toPrevious: false,
    host: `machine-${machine}`,
    user: 'tester',
    now: () => new Date(),
    signal: () => AbortSignal.timeout(callMs),
    interrupt: new AbortController().signal,
    watch: new Watch(state),
    record: () => {},
    progress: () => {},
    warn: () => {},
    ...options,
  });
  const run = engine.run();
  return death === undefined ? run : Promise.race([run, death.died]);
}

export type Seen = Stages;

/** What the store has, as anybody reads it. */
export function look(provider: Provider, name: string): Promise<Seen> {
  return new SecretPlace(provider, name, () => ({ signal: AbortSignal.timeout(120_000) })).read();
}

/** The invariant: a credential that works is readable in the store. */
export function expectNotLockedOut(system: FakeSystem, { current, pending }: Seen): void {
  const works = [current, pending].some((one) => one !== undefined && system.accepted(one));
  expect({ works, accepts: [...system.accepts] }).toMatchObject({ works: true });
}

export function expectSettled(system: FakeSystem, { current, pending }: Seen): void {
  expect(pending).toBeUndefined();
  expect(current?.fields ?? {}).not.toHaveProperty(CLAIM_KEY);
  expect(current !== undefined && system.accepted(current)).toBe(true);
}

/** Stops a machine at one of its calls to the store, after it was made and before its answer is there. */
export class Pause {
  readonly reached: Promise<'paused'>;
  readonly #released: Promise<void>;
  readonly #at: number;
  release: () => void = () => {};
  #calls = 0;
  #reach: (word: 'paused') => void = () => {};

  constructor(at: number) {
    this.#at = at;
    this.reached = new Promise((resolve) => (this.#reach = resolve));
    this.#released = new Promise((resolve) => (this.release = resolve));
  }

  of(store: Provider): Provider {
    return new Proxy(store, {
      get: (object, name) => {
        const found: unknown = Reflect.get(object, name);
        if (typeof found !== 'function') return found;
        const method = found as (...args: unknown[]) => unknown;
        if (['checkName', 'nativeId'].includes(String(name))) return method.bind(object);
        return async (...args: unknown[]) => {
          this.#calls += 1;
          const mine = this.#calls;
          const answer: unknown = await method.apply(object, args);
          if (mine === this.#at) {
            this.#reach('paused');
            await this.#released;
          }
          return answer;
        };
      },
    });
  }
}
