/** Every provider, one line each. Importing a descriptor loads no SDK. */
import { local } from './local/descriptor.ts';
import type { ProviderDescriptor } from './provider.ts';
import { vault } from './vault/descriptor.ts';

export const providers: readonly ProviderDescriptor[] = [local, vault];
