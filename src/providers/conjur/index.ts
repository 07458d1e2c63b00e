import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { ConjurClient } from './client.ts';
import { ConjurProvider } from './provider.ts';
import type { ConjurSettings } from './settings.ts';

export function open(settings: StoreSettings, context: ProviderContext): ConjurProvider {
  const checked = settings as ConjurSettings;
  return new ConjurProvider(new ConjurClient(checked, context), checked, context);
}
