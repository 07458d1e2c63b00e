import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { AwsProvider } from './provider.ts';
import { AwsService } from './service.ts';
import type { AwsSettings } from './settings.ts';

export function open(settings: StoreSettings, context: ProviderContext): AwsProvider {
  const checked = settings as AwsSettings;
  return new AwsProvider(new AwsService(checked, context), checked, context);
}
