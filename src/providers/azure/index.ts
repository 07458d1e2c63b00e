import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { AzureProvider } from './provider.ts';
import { AzureService } from './service.ts';
import type { AzureSettings } from './settings.ts';

export function open(settings: StoreSettings, context: ProviderContext): AzureProvider {
  const checked = settings as AzureSettings;
  return new AzureProvider(new AzureService(checked, context), checked, context);
}
