import type { Provider } from '../provider.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { LocalProvider } from './provider.ts';
import type { LocalSettings } from './settings.ts';
import { StoreFolder } from './folder.ts';

export function open(settings: StoreSettings, context: ProviderContext): Provider {
  return new LocalProvider(new StoreFolder(settings as LocalSettings, context));
}
