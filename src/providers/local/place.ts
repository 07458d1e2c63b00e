/** Where things of the store are. */
import { resolve } from 'node:path';
import type { ProviderContext } from '../descriptor.ts';
import type { LocalSettings } from './settings.ts';

/** Which data key of which store. */
export interface Place {
  readonly store: string;
  readonly keyId: string;
}

/** A path of the settings as an absolute one; `~/` is the user's home. */
export function expandPath({ home, cwd }: Pick<ProviderContext, 'home' | 'cwd'>, path: string): string {
  return resolve(cwd, path.replace(/^~(?=\/|$)/, home));
}

/** A store's folder, as far as what is in it can be made and removed without opening it. */
export interface StorePlace {
  readonly path: string;
  readonly settings: LocalSettings;
  readonly context: ProviderContext;
  /** Recipients from the settings. */
  readonly recipients: readonly string[];
  /** Path of the manifest with a revision. */
  manifestPath(revision: number): string;
}
