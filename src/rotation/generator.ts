/**
 * The interface between a rotation and the generators of new values. A generator is opened from the policy's `generate`
 * setting (or the default), and called once for each rotated key.
 */
import type { JsonValue } from '../core/json.ts';

export interface Generated {
  /** The new value of the rotated key (or of the whole secret). */
  readonly value: string;
  /** More fields of a JSON secret that belong to the value: `{ 'public-key': … }`, `{ csr: … }`. */
  readonly companions?: Readonly<Record<string, string>> | undefined;
  /** Entropy in bits, rounded down. */
  readonly bits: number;
}

export interface Generator {
  /** What is generated, for `--dry-run`: "40 characters of letters and digits". */
  readonly title: string;
  /** Entropy of each value in bits, rounded down; known without generating one. */
  readonly bits: number;
  make(): Promise<Generated>;
  /**
   * A value of the same form that nothing will ever accept, for generators that are expensive: a small key instead of a
   * large one. Missing if `make` is cheap.
   */
  sample?(): Promise<Generated>;
}

/** The `generate` setting: a spec for `secrets generate` (`alnum:40`), or a map. */
export type GenerateSettings = string | Readonly<Record<string, JsonValue>>;
