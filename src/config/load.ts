/** Reads the configuration. (First form: no file is read yet; every provider's name is a store.) */
import type { World } from '../world.ts';
import type { Config, StoreConfig } from './config.ts';

export interface ConfigOptions {
  /** `--config FILE`. */
  readonly file?: string | undefined;
  /** `--profile NAME`. */
  readonly profile?: string | undefined;
  /** `--trust`: act on the file this once, whatever it says. */
  readonly trust?: boolean | undefined;
}

export async function loadConfig(world: World, _options: ConfigOptions): Promise<Config> {
  const stores = new Map<string, StoreConfig>();
  for (const { kind } of world.providers) {
    stores.set(kind, { name: kind, provider: kind, settings: {}, source: 'builtin' });
  }
  return { file: undefined, profile: undefined, defaultStore: 'local', stores, env: new Map() };
}
