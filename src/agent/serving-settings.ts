/** How long the agent holds values, how many, and what may be written through it. */
import type { CacheBounds } from './cache.ts';
import type { ReadingSettings } from './reading.ts';

export interface ServingSettings {
  /** `--write`: references of the secrets, or of prefixes that end in `/`, that doors may write. */
  readonly write: readonly { readonly store: string; readonly prefix: string }[];
  readonly bounds: CacheBounds;
  readonly reading: ReadingSettings;
}

export const DEFAULTS: ServingSettings = {
  write: [],
  bounds: { ttlMs: 15 * 60_000, maxValues: 10_000, maxBytes: 64 * 1024 * 1024 },
  reading: { freshMs: 60_000, patienceMs: 3000, callMs: 30_000 },
};
