import type { ProviderDescriptor } from '../descriptor.ts';
import { trustItemsFor } from '../trust.ts';

/** Other people's providers: a program on PATH that speaks the protocol of docs/plugins.md. */
export const exec: ProviderDescriptor = {
  kind: 'exec',
  title: 'a provider plugin, secrets-provider-NAME on PATH',
  // Of the programs that plugins are made for most often; others are named in a store's `env`.
  credentialVariables: [
    ...['BW_SESSION', 'BW_PASSWORD', 'BW_CLIENTID', 'BW_CLIENTSECRET', 'BWS_ACCESS_TOKEN'],
    ...['OP_SERVICE_ACCOUNT_TOKEN', 'OP_CONNECT_TOKEN', 'LPASS_AGENT_PASSWORD', 'KEEPER_PASSWORD'],
    ...['DOPPLER_TOKEN', 'INFISICAL_TOKEN', 'PASSWORD_STORE_GPG_OPTS', 'SOPS_AGE_KEY', 'SOPS_AGE_KEY_FILE'],
  ],
  // Such a variable speaks of the program, not of a plugin that is there.
  detect: () => undefined,
  harmless: {},
  trustItems: trustItemsFor({
    plugin: 'the program secrets-provider-NAME of this name is run, and given what you write',
    settings: 'the plugin is told these settings, which may say where it sends a credential',
    env: 'these variables of yours are given to the plugin',
  }),
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
