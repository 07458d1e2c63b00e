/** Paths of a store, and references to its keys. */
import { resolve } from 'node:path';
import type { ProviderContext } from '../descriptor.ts';
import type { LocalSettings } from './settings.ts';

/** Identifies a data key of a store. */
export interface Place {
  readonly store: string;
  readonly keyId: string;
}

/** Makes a path from the settings absolute; `~/` is the user's home. */
export function expandPath({ home, cwd }: Pick<ProviderContext, 'home' | 'cwd'>, path: string): string {
  return resolve(cwd, path.replace(/^~(?=\/|$)/, home));
}

/** A store's folder for code that creates or removes its parts without opening it. */
export interface StorePlace {
  readonly path: string;
  readonly settings: LocalSettings;
  readonly context: ProviderContext;
  /** The recipients from the settings. */
  readonly recipients: readonly string[];
  /** The path of a revision's manifest. */
  manifestPath(revision: number): string;
}
