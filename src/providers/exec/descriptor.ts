import type { ProviderDescriptor } from '../descriptor.ts';
import { trustItemsFor } from '../trust.ts';

/** Other people's providers: a program on PATH that implements the protocol of docs/plugins.md. */
export const exec: ProviderDescriptor = {
  kind: 'exec',
  title: 'a provider plugin, secrets-provider-NAME on PATH',
  // For the programs that plugins are most often made for; a store's `env` names more.
  credentialVariables: [
    ...['BW_SESSION', 'BW_PASSWORD', 'BW_CLIENTID', 'BW_CLIENTSECRET', 'BWS_ACCESS_TOKEN'],
    ...['OP_SERVICE_ACCOUNT_TOKEN', 'OP_CONNECT_TOKEN', 'LPASS_AGENT_PASSWORD', 'KEEPER_PASSWORD'],
    ...['DOPPLER_TOKEN', 'INFISICAL_TOKEN', 'PASSWORD_STORE_GPG_OPTS', 'SOPS_AGE_KEY', 'SOPS_AGE_KEY_FILE'],
  ],
  // Such a variable is evidence of the program, not of an installed plugin.
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
