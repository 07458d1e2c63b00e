/** Every provider, one line each. Descriptors load no SDK. */
import { aws } from './aws/descriptor.ts';
import { azure } from './azure/descriptor.ts';
import { conjur } from './conjur/descriptor.ts';
import { gcp } from './gcp/descriptor.ts';
import { exec } from './exec/descriptor.ts';
import { local } from './local/descriptor.ts';
import type { ProviderDescriptor } from './descriptor.ts';
import { vault } from './vault/descriptor.ts';

export const providers: readonly ProviderDescriptor[] = [local, aws, azure, conjur, gcp, vault, exec];
