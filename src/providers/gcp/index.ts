import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { GcpProvider } from './provider.ts';
import { GcpService } from './service.ts';
import type { GcpSettings } from './settings.ts';
import { GcpStore } from './store.ts';

export function open(settings: StoreSettings, context: ProviderContext): GcpProvider {
  const checked = settings as GcpSettings;
  return new GcpProvider(new GcpStore(new GcpService(checked, context), checked), checked, context);
}
