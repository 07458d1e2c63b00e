import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { VaultClient } from './client.ts';
import { VaultProvider } from './provider.ts';
import type { VaultSettings } from './settings.ts';

export function open(settings: StoreSettings, context: ProviderContext): VaultProvider {
  const checked = settings as VaultSettings;
  return new VaultProvider(new VaultClient(checked, context), checked, context);
}
