/** What a project's settings say, after reading, validating and applying profile, flags and trust. */
import type { StoreSettings } from '../providers/provider.ts';

/** A store that can be opened. */
export interface StoreConfig {
  readonly name: string;
  /** Kind of provider, such as `aws`. */
  readonly provider: string;
  readonly settings: StoreSettings;
  /** `builtin`: the store that every provider's name stands for. */
  readonly source: 'builtin' | 'project' | 'user';
}

/** One variable that `exec` and `env` provide. */
export type EnvEntry =
  | {
      readonly kind: 'ref';
      readonly ref: string;
      /** `file`: the variable holds the path of a private file with the value. */
      readonly as: 'value' | 'file';
      /** A missing secret leaves the variable unset instead of failing. */
      readonly optional: boolean;
    }
  | { readonly kind: 'literal'; readonly value: string };

export interface Config {
  /** Path of the project's secrets.yaml, if there is one. */
  readonly file: string | undefined;
  readonly profile: string | undefined;
  readonly defaultStore: string;
  readonly stores: ReadonlyMap<string, StoreConfig>;
  readonly env: ReadonlyMap<string, EnvEntry>;
}
