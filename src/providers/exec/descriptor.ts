import type { ProviderDescriptor } from '../provider.ts';
import { trustItemsFor } from '../trust.ts';

/** Other people's providers: a program on PATH that speaks the protocol of docs/plugins.md. */
export const exec: ProviderDescriptor = {
  kind: 'exec',
  title: 'a provider plugin, secrets-provider-NAME on PATH',
  credentialVariables: [],
  harmless: {},
  trustItems: trustItemsFor({
    plugin: 'the program secrets-provider-NAME of this name is run, and given what you write',
    settings: 'the plugin is told these settings, which may say where it sends a credential',
    env: 'these variables of yours are given to the plugin',
  }),
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
