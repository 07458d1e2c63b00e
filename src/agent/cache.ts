/** The values that the agent holds: in memory only, for a limited time, bounded in number and size. */
import type { SecretVersion } from '../core/secret.ts';

export interface CacheBounds {
  /** How long a value is held. */
  readonly ttlMs: number;
  readonly maxValues: number;
  readonly maxBytes: number;
}

/**
 * Two clocks, in milliseconds: a monotonic one may stand still while the machine sleeps, and the other may be set. The
 * one that says more time has passed counts.
 */
export interface Clocks {
  readonly monotonic: () => number;
  readonly wall: () => number;
}

export const systemClocks: Clocks = {
  monotonic: () => Number(process.hrtime.bigint() / 1_000_000n),
  wall: () => Date.now(),
};

interface Entry {
  readonly secret: SecretVersion;
  /** The kind of its store's provider. */
  readonly provider: string;
  readonly bytes: number;
  readonly monotonic: number;
  readonly wall: number;
}

/** A value that is held, and its age. */
export interface Held {
  readonly secret: SecretVersion;
  readonly ageMs: number;
  readonly fetchedAt: Date;
}

/** Estimated, for the objects around a value. */
const OVERHEAD_BYTES = 512;

export class ValueCache {
  readonly #bounds: CacheBounds;
  readonly #clocks: Clocks;
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(bounds: CacheBounds, clocks: Clocks = systemClocks) {
    this.#bounds = bounds;
    this.#clocks = clocks;
  }

  /** A copy: the held value is overwritten when it is forgotten. */
  get(key: string): Held | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageMs = this.#age(entry);
    if (ageMs >= this.#bounds.ttlMs) {
      this.#forget(key, entry);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    const { secret, wall } = entry;
    return {
      secret: { ...secret, value: Buffer.from(secret.value) },
      ageMs,
      fetchedAt: new Date(wall),
    };
  }

  /** Holds a copy, unless it is larger than everything that may be held. */
  set(key: string, provider: string, secret: SecretVersion): void {
    const known = this.#entries.get(key);
    if (known !== undefined) this.#forget(key, known);
    const bytes = secret.value.length + 2 * key.length + OVERHEAD_BYTES;
    const { maxBytes, maxValues, ttlMs } = this.#bounds;
    if (bytes > maxBytes || maxValues === 0 || ttlMs === 0) return;
    this.#entries.set(key, {
      secret: { ...secret, value: Buffer.from(secret.value) },
      provider,
      bytes,
      monotonic: this.#clocks.monotonic(),
      wall: this.#clocks.wall(),
    });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= maxBytes && this.#entries.size <= maxValues) break;
      this.#forget(oldest, entry);
    }
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#forget(key, entry);
  }

  /** Forgets the values of stores of this kind. */
  dropKind(provider: string): void {
    for (const [key, entry] of this.#entries) if (entry.provider === provider) this.#forget(key, entry);
  }

  /** Forgets the values whose keys start with this. */
  dropPrefix(prefix: string): void {
    for (const [key, entry] of this.#entries) if (key.startsWith(prefix)) this.#forget(key, entry);
  }

  /** Forgets what is older than the time it may be held. */
  sweep(): void {
    for (const [key, entry] of this.#entries)
      if (this.#age(entry) >= this.#bounds.ttlMs) this.#forget(key, entry);
  }

  /** Forgets everything. @returns how many values that were */
  clear(): number {
    const { size } = this.#entries;
    for (const [key, entry] of this.#entries) this.#forget(key, entry);
    return size;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get oldestMs(): number | undefined {
    const ages = [...this.#entries.values()].map((entry) => this.#age(entry));
    return ages.length === 0 ? undefined : ages.reduce((most, age) => Math.max(most, age));
  }

  #age({ monotonic, wall }: Entry): number {
    return Math.max(this.#clocks.monotonic() - monotonic, this.#clocks.wall() - wall);
  }

  #forget(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    // As far as the language allows: what clients were given are copies.
    entry.secret.value.fill(0);
  }
}
