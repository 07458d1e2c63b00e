/** What the tests of the Vault provider share: a server, a home, and stores that are closed at the end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecretsError } from '../../../src/core/errors.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { ProviderContext } from '../../../src/providers/descriptor.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import { open } from '../../../src/providers/vault/index.ts';
import { startVault, type Vault, type VaultOptions } from '../../backends/vault.ts';
import { contextFor } from '../../contract/suite.ts';

export type Env = Readonly<Record<string, string>>;

export const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
export const bytes = (text: string): Uint8Array => Buffer.from(text);

export interface Kit {
  readonly vault: Vault;
  /** A private folder, which is the stores' home and working directory. */
  readonly home: string;
  start(settings: StoreSettings, env?: Env, more?: Partial<ProviderContext>): Provider;
  /** A store with the root token. */
  asRoot(settings?: StoreSettings, env?: Env): Provider;
  /** A token with this policy. */
  tokenWith(policy: string, more?: object): Promise<string>;
  stop(): Promise<void>;
}

export async function startKit(options: (home: string) => VaultOptions = () => ({})): Promise<Kit> {
  const home = mkdtempSync(join(tmpdir(), 'secrets-vault-'));
  const vault = await startVault(options(home));
  const opened: Provider[] = [];
  let policies = 0;
  const start: Kit['start'] = (settings, env = {}, more = {}) => {
    const provider = open(settings, { ...contextFor({ VAULT_ADDR: vault.url, ...env }, home), ...more });
    opened.push(provider);
    return provider;
  };
  return {
    vault,
    home,
    start,
    asRoot: (settings = {}, env = {}) => start(settings, { VAULT_TOKEN: vault.token, ...env }),
    tokenWith: async (policy, more = {}) => {
      const name = `tested-${(policies += 1)}`;
      await vault.api('PUT', `sys/policies/acl/${name}`, { policy });
      const made = await vault.api('POST', 'auth/token/create', { policies: [name], ...more });
      return (made['auth'] as { client_token: string }).client_token;
    },
    stop: async () => {
      await Promise.all(opened.map((provider) => provider.close()));
      await vault.stop();
      rmSync(home, { recursive: true });
    },
  };
}

/** The error that a call ends with. */
export async function failure(work: Promise<unknown>): Promise<SecretsError> {
  try {
    await work;
  } catch (thrown) {
    return thrown as SecretsError;
  }
  throw new Error('it did not fail');
}

export async function all<T>(items: AsyncIterable<T> | undefined): Promise<T[]> {
  const found: T[] = [];
  if (items !== undefined) for await (const item of items) found.push(item);
  return found;
}
