/** Azure's clouds: where their vaults and their sign-in live. Cheap to import. */

export interface Cloud {
  /** What follows a vault's name in its host name. */
  readonly suffix: string;
  /** Where Microsoft Entra ID gives tokens for it. */
  readonly authorityHost: string;
  /** Where Azure Monitor's logs are queried, which is also whom their tokens are for. */
  readonly logs: string;
}

/**
 * Sources: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers,
 * https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud and
 * https://learn.microsoft.com/azure/azure-monitor/logs/api/access-api
 */
export const CLOUDS = {
  public: {
    suffix: 'vault.azure.net',
    authorityHost: 'https://login.microsoftonline.com',
    logs: 'https://api.loganalytics.io',
  },
  china: {
    suffix: 'vault.azure.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    logs: 'https://api.loganalytics.azure.cn',
  },
  'us-government': {
    suffix: 'vault.usgovcloudapi.net',
    authorityHost: 'https://login.microsoftonline.us',
    logs: 'https://api.loganalytics.us',
  },
} as const satisfies Record<string, Cloud>;

export type CloudName = keyof typeof CLOUDS;

/** 3 to 24 letters, digits and single hyphens. Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault */
export const VAULT_NAME = /^(?=.{3,24}$)[a-zA-Z](?:-?[a-zA-Z0-9])+$/;

/** The cloud whose vaults have such a host name; `undefined` when Azure has none like it. */
export function cloudOfHost(host: string): CloudName | undefined {
  const dot = host.indexOf('.');
  if (dot === -1 || !VAULT_NAME.test(host.slice(0, dot))) return undefined;
  const suffix = host.slice(dot + 1).toLowerCase();
  return (Object.keys(CLOUDS) as CloudName[]).find((name) => CLOUDS[name].suffix === suffix);
}
