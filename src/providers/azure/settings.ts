/** Settings of an Azure store in secrets.yaml. */
import * as v from 'valibot';
import type { CloudName } from './clouds.ts';

const text = v.pipe(v.string(), v.nonEmpty());
const guid = v.pipe(v.string(), v.regex(/^[0-9a-zA-Z.-]+$/, 'letters, digits, . and -'));

export const METHODS = [
  'default',
  'environment',
  'client-secret',
  'client-certificate',
  'workload-identity',
  'managed-identity',
  'azure-cli',
  'azure-powershell',
  'azure-developer-cli',
] as const;

export type Method = (typeof METHODS)[number];

export const settingsSchema = v.strictObject({
  vault: v.pipe(
    v.optional(text),
    v.description('name or URL of the vault; default $AZURE_KEYVAULT_URL or $AZURE_KEYVAULT_NAME'),
  ),
  cloud: v.pipe(
    v.optional(v.picklist(['public', 'china', 'us-government'])),
    v.description('cloud of the vault and its sign-in; default public'),
  ),
  'dns-suffix': v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'a host name'))),
    v.description('suffix of the vault’s host name; default the cloud’s'),
  ),
  'authority-host': v.pipe(
    v.optional(text),
    v.description('URL of the sign-in host; default $AZURE_AUTHORITY_HOST or the cloud’s'),
  ),
  names: v.pipe(
    v.optional(v.picklist(['plain', 'mapped'])),
    v.description('mapped: encode other characters of names in letters, digits and -'),
  ),
  ca: v.pipe(v.optional(text), v.description('PEM file of a trusted authority, in addition to the system’s')),
  'service-version': v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^[0-9a-z.-]+$/, 'a version of the API'))),
    v.description('version of the service’s API; default the SDK’s'),
  ),
  'disable-challenge-resource-verification': v.pipe(
    v.optional(v.boolean()),
    v.description('for servers other than Azure’s: send the token although it is for another host'),
  ),
  'disable-instance-discovery': v.pipe(
    v.optional(v.boolean()),
    v.description('for sign-in hosts unknown to Microsoft: skip the check with Microsoft'),
  ),
  trail: v.optional(
    v.strictObject({
      workspace: v.pipe(
        v.pipe(v.string(), v.regex(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/, 'a GUID')),
        v.description('id of the Log Analytics workspace with the vault’s audit logs'),
      ),
      endpoint: v.pipe(
        v.optional(text),
        v.description('URL of Azure Monitor’s query service; default the cloud’s'),
      ),
    }),
  ),
  auth: v.optional(
    v.strictObject({
      method: v.pipe(
        v.optional(v.picklist(METHODS)),
        v.description('sign-in method; default: try each in turn'),
      ),
      'tenant-id': v.pipe(v.optional(guid), v.description('tenant; default $AZURE_TENANT_ID')),
      'client-id': v.pipe(
        v.optional(guid),
        v.description('application or user-assigned identity; default $AZURE_CLIENT_ID'),
      ),
      'resource-id': v.pipe(v.optional(text), v.description('user-assigned identity, by resource id')),
      'object-id': v.pipe(v.optional(guid), v.description('user-assigned identity, by object id')),
      certificate: v.pipe(
        v.optional(text),
        v.description('PEM file with certificate and key; default $AZURE_CLIENT_CERTIFICATE_PATH'),
      ),
      'send-certificate-chain': v.pipe(
        v.optional(v.boolean()),
        v.description('for sign-in by subject name and issuer'),
      ),
      'token-file': v.pipe(
        v.optional(text),
        v.description('file with the federated token; default $AZURE_FEDERATED_TOKEN_FILE'),
      ),
      subscription: v.pipe(v.optional(text), v.description('subscription of the Azure CLI to sign in with')),
      'additional-tenants': v.pipe(
        v.optional(v.array(v.string())),
        v.description('additional tenants to request tokens from; "*" for any'),
      ),
    }),
  ),
});

/** The settings after validation. */
export interface AzureSettings {
  readonly vault?: string;
  readonly cloud?: CloudName;
  readonly 'dns-suffix'?: string;
  readonly 'authority-host'?: string;
  readonly names?: 'plain' | 'mapped';
  readonly ca?: string;
  readonly 'service-version'?: string;
  readonly 'disable-challenge-resource-verification'?: boolean;
  readonly 'disable-instance-discovery'?: boolean;
  readonly auth?: AuthSettings;
  readonly trail?: TrailSettings;
}

export interface TrailSettings {
  readonly workspace: string;
  readonly endpoint?: string;
}

export interface AuthSettings {
  readonly method?: Method;
  readonly 'tenant-id'?: string;
  readonly 'client-id'?: string;
  readonly 'resource-id'?: string;
  readonly 'object-id'?: string;
  readonly certificate?: string;
  readonly 'send-certificate-chain'?: boolean;
  readonly 'token-file'?: string;
  readonly subscription?: string;
  readonly 'additional-tenants'?: readonly string[];
}
