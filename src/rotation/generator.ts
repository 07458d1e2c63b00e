/**
 * The interface between a rotation and what makes new values. A generator is made from the policy's `generate`
 * setting (or from a default), and asked once for each key that is rotated.
 */
import type { JsonValue } from '../core/json.ts';

/** A fresh value. */
export interface Generated {
  /** What the rotated key (or the whole secret) becomes. */
  readonly value: string;
  /** Further fields of the secret that belong to it: `{ 'public-key': … }`, `{ csr: … }`. Only for a JSON secret. */
  readonly companions?: Readonly<Record<string, string>> | undefined;
  /** Entropy of the choice, in bits, rounded down. */
  readonly bits: number;
}

export interface Generator {
  /** What it makes, for `--dry-run`: "40 characters of letters and digits". */
  readonly title: string;
  /** Entropy of each value, in bits, rounded down; known without making one. */
  readonly bits: number;
  make(): Promise<Generated>;
  /**
   * A value of the same form that nothing will ever accept, where making one is expensive: a small key in the place of a
   * large one. Without this method `make` is cheap.
   */
  sample?(): Promise<Generated>;
}

/** The `generate` setting: a spec as `secrets generate` takes it (`alnum:40`), or a map. */
export type GenerateSettings = string | Readonly<Record<string, JsonValue>>;
