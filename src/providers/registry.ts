/** Every provider, one line each. Importing a descriptor loads no SDK. */
import { local } from './local/descriptor.ts';
import type { ProviderDescriptor } from './provider.ts';

export const providers: readonly ProviderDescriptor[] = [local];
