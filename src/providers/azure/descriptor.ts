import type {
  Detection,
  NativeReference,
  ProviderDescriptor,
  StoreSettings,
  Surroundings,
  TrustItem,
} from '../provider.ts';
import { cloudOfHost, isKnownAuthority, isKnownLogs, isKnownSuffix, VAULT_NAME } from './clouds.ts';

/** `https://NAME.vault.azure.net/secrets/S[/V]`, as Azure writes a secret's identifier. */
const IDENTIFIER =
  /^https:\/\/([a-zA-Z0-9-]+(?:\.[a-z0-9-]+)+)(?::443)?\/secrets\/([0-9a-zA-Z-]{1,127})(?:\/([0-9a-fA-F]{32})?)?$/;

function native(text: string): NativeReference | undefined {
  const [, host = '', name = '', version] = IDENTIFIER.exec(text) ?? [];
  const cloud = cloudOfHost(host);
  if (cloud === undefined) return undefined;
  // The identifier holds Azure's own name for it: nothing to map.
  return {
    name,
    ...(version !== undefined && { version }),
    settings: { vault: `https://${host}`, cloud, names: 'plain' },
  };
}

function trustItems(settings: StoreSettings): readonly TrustItem[] {
  const items: TrustItem[] = [];
  const add = (setting: string, value: unknown, effect: string): void => {
    if (typeof value === 'string') items.push({ setting, value, effect });
    else if (value === true) items.push({ setting, value: 'true', effect });
  };
  const { vault, auth } = settings;
  if (typeof vault === 'string' && vault.includes(':') && !isAzureVault(vault))
    add('vault', vault, 'your Azure token and your secrets are sent to this server');
  const { 'dns-suffix': suffix, 'authority-host': authority } = settings;
  if (typeof suffix === 'string' && !isKnownSuffix(suffix))
    add('dns-suffix', suffix, 'your Azure token and your secrets are sent to a server below this name');
  if (typeof authority === 'string' && !isKnownAuthority(authority))
    add('authority-host', authority, 'your Azure credential is sent to this server');
  add('ca', settings['ca'], 'servers with a certificate of this authority are believed');
  add(
    'disable-challenge-resource-verification',
    settings['disable-challenge-resource-verification'],
    'your token is sent whatever service the server says it is for',
  );
  add(
    'disable-instance-discovery',
    settings['disable-instance-discovery'],
    'nobody is asked whether the sign-in host is genuine',
  );
  const { endpoint } = (settings['trail'] ?? {}) as Record<string, unknown>;
  if (typeof endpoint === 'string' && !isKnownLogs(endpoint))
    add('trail.endpoint', endpoint, 'a token of yours for Azure Monitor is sent to this server');
  const {
    certificate,
    'token-file': tokenFile,
    'additional-tenants': tenants,
  } = (auth ?? {}) as Record<string, unknown>;
  add('auth.certificate', certificate, 'this file signs you in to Azure');
  add('auth.token-file', tokenFile, 'the token in this file is sent to Azure to sign you in');
  if (Array.isArray(tenants))
    add(
      'auth.additional-tenants',
      JSON.stringify(tenants),
      'tokens for vaults of these tenants are asked for',
    );
  return items;
}

/** A vault's name or address, or a session of the Azure CLI. */
function detect({ env, home, exists }: Surroundings): Detection | undefined {
  const variable = ['AZURE_KEYVAULT_URL', 'AZURE_KEYVAULT_NAME', 'KEY_VAULT_NAME'].find((name) => env[name]);
  if (variable !== undefined) {
    const vault = env[variable] ?? '';
    const isShared = VAULT_NAME.test(vault) || isAzureVault(vault);
    return { evidence: `$${variable}`, settings: isShared ? { vault } : {} };
  }
  return exists(`${home}/.azure/azureProfile.json`)
    ? { evidence: '~/.azure/azureProfile.json', settings: {} }
    : undefined;
}

function isAzureVault(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text);
  const isAddress = username + password + port + search + hash === '' && pathname === '/';
  return protocol === 'https:' && isAddress && cloudOfHost(hostname) !== undefined;
}

/** Azure Key Vault. */
export const azure: ProviderDescriptor = {
  kind: 'azure',
  title: 'Azure Key Vault',
  credentialVariables: [
    'AZURE_CLIENT_SECRET',
    'AZURE_CLIENT_CERTIFICATE_PATH',
    'AZURE_CLIENT_CERTIFICATE_PASSWORD',
    'AZURE_USERNAME',
    'AZURE_PASSWORD',
    'AZURE_FEDERATED_TOKEN_FILE',
    // What the managed identity endpoints of App Service, Arc and their kin want to see.
    'IDENTITY_HEADER',
    'MSI_SECRET',
  ],
  native,
  trustItems,
  detect,
  // A date on the user's own secret sends nothing anywhere.
  nativeRotation: {
    trustItems: () => [],
    schema: async () => (await import('./rotation-settings.ts')).nativeSchema,
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
