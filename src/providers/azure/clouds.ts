/** Azure's clouds: the domains of their vaults and of their sign-in. Cheap to import. */
import { SecretsError } from '../../core/errors.ts';

export interface Cloud {
  /** The part of a vault's host name after the vault's name. */
  readonly suffix: string;
  /** The Microsoft Entra ID endpoint that issues tokens for this cloud. */
  readonly authorityHost: string;
  /** The address for Azure Monitor log queries, which is also the audience of their tokens. */
  readonly logs: string;
  /** Azure Resource Manager, which is also the audience of its tokens. */
  readonly management: string;
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
    management: 'https://management.azure.com',
  },
  china: {
    suffix: 'vault.azure.cn',
    authorityHost: 'https://login.chinacloudapi.cn',
    logs: 'https://api.loganalytics.azure.cn',
    management: 'https://management.chinacloudapi.cn',
  },
  'us-government': {
    suffix: 'vault.usgovcloudapi.net',
    authorityHost: 'https://login.microsoftonline.us',
    logs: 'https://api.loganalytics.us',
    management: 'https://management.usgovcloudapi.net',
  },
} as const satisfies Record<string, Cloud>;

export type CloudName = keyof typeof CLOUDS;

/** 3 to 24 letters, digits and single hyphens. Source: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault */
export const VAULT_NAME = /^(?=.{3,24}$)[a-zA-Z](?:-?[a-zA-Z0-9])+$/;

/** The cloud whose vaults have such a host name; `undefined` if there is none. */
export function cloudOfHost(host: string): CloudName | undefined {
  const dot = host.indexOf('.');
  if (dot === -1 || !VAULT_NAME.test(host.slice(0, dot))) return undefined;
  const suffix = host.slice(dot + 1).toLowerCase();
  return (Object.keys(CLOUDS) as CloudName[]).find((name) => CLOUDS[name].suffix === suffix);
}

/**
 * One of Azure's own vaults, by its URL. @throws SecretsError Usage for another server
 */
export function azureVault(url: string): { readonly title: string; readonly cloud: CloudName } {
  const { hostname } = new URL(url);
  const cloud = cloudOfHost(hostname);
  const [title = ''] = hostname.split('.');
  if (cloud !== undefined) return { title, cloud };
  throw new SecretsError('Usage', 'only Azure’s own vaults have role assignments', {
    hint: 'name the vault by its own URL',
  });
}
