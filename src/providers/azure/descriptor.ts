import type { Detection, NativeReference, ProviderDescriptor, Environment } from '../descriptor.ts';
import { type HarmlessSettings, trustItemsFor } from '../trust.ts';
import { cloudOfHost, VAULT_NAME } from './clouds.ts';

/** `https://NAME.vault.azure.net/secrets/S[/V]`: Azure's own form of a secret's identifier. */
const IDENTIFIER =
  /^https:\/\/([a-zA-Z0-9-]+(?:\.[a-z0-9-]+)+)(?::443)?\/secrets\/([0-9a-zA-Z-]{1,127})(?:\/([0-9a-fA-F]{32})?)?$/;

function native(text: string): NativeReference | undefined {
  const [, host = '', name = '', version] = IDENTIFIER.exec(text) ?? [];
  const cloud = cloudOfHost(host);
  if (cloud === undefined) return undefined;
  // The identifier contains Azure's own name, so no mapping applies.
  return {
    name,
    ...(version !== undefined && { version }),
    settings: { vault: `https://${host}`, cloud, names: 'plain' },
  };
}

const HARMLESS: HarmlessSettings = {
  names: { reason: 'says how the names that the user gives are written' },
};

const SIGN_IN = 'your Azure credential is used to sign in there';
const trustItems = trustItemsFor(
  {
    vault: 'your Azure token and what you write are sent to this vault',
    cloud: 'your Azure credential is sent to the sign-in host of this cloud',
    'dns-suffix': 'your Azure token and your secrets are sent to a server below this name',
    'authority-host': 'your Azure credential is sent to this server',
    'service-version': 'requests are made for this version of the service',
    ca: 'servers with a certificate of this authority are believed',
    'disable-challenge-resource-verification':
      'your token is sent whatever service the server says it is for',
    'disable-instance-discovery': 'nobody is asked whether the sign-in host is genuine',
    'trail.workspace': 'this workspace’s records of accesses are shown and believed',
    'trail.endpoint': 'a token of yours for Azure Monitor is sent to this server',
    'auth.method': 'you are signed in this way, which may run a program',
    'auth.tenant-id': SIGN_IN,
    'auth.client-id': 'your credential is used as this application’s',
    'auth.resource-id': 'this identity of the machine is used',
    'auth.object-id': 'this identity of the machine is used',
    'auth.certificate': 'this file signs you in to Azure',
    'auth.send-certificate-chain': 'the chain of your certificate is sent',
    'auth.token-file': 'the token in this file is sent to Azure to sign you in',
    'auth.subscription': 'the account of this subscription signs you in',
    'auth.additional-tenants': 'tokens for vaults of these tenants are asked for',
  },
  HARMLESS,
);

/** Looks for a vault's name or address, or a session of the Azure CLI. */
function detect({ env, home, exists }: Environment): Detection | undefined {
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

const ELSEWHERE: ReadonlySet<string> = new Set(['azure-cli', 'azure-developer-cli', 'azure-powershell']);

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
    // Required by the managed identity endpoints of App Service, Arc and similar services.
    'IDENTITY_HEADER',
    'MSI_SECRET',
    'AZURE_ACCESS_TOKEN',
  ],
  credentialFiles: ({ env, home }) => [`${env['AZURE_CONFIG_DIR'] || `${home}/.azure`}/azureProfile.json`],
  // The Azure CLI, the Azure Developer CLI and PowerShell: a new sign-in of the same subscription changes no file of a
  // fixed name.
  signsInElsewhere: (_place, { auth }) => {
    const method = typeof auth === 'object' && auth !== null && 'method' in auth ? auth['method'] : undefined;
    return method === undefined || ELSEWHERE.has(String(method));
  },
  native,
  trustItems,
  harmless: HARMLESS,
  files: { ca: 'pinned', 'auth.certificate': 'pinned', 'auth.token-file': 'pinned' },
  detect,
  nativeRotation: {
    trustItems: trustItemsFor({
      reminder: 'a date is written to the secret, of which Azure reminds',
      after: 'the date is this long after each new value',
    }),
    schema: async () => (await import('./rotation-settings.ts')).nativeSchema,
  },
  schema: async () => (await import('./settings.ts')).settingsSchema,
  load: () => import('./index.ts'),
};
