/** Settings of an Azure store in secrets.yaml. */
import * as v from 'valibot';
import { said, type SettingsOf } from '../../core/settings-schema.ts';

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
  vault: said('name or URL of the vault; default $AZURE_KEYVAULT_URL or $AZURE_KEYVAULT_NAME'),
  cloud: v.pipe(
    v.optional(v.picklist(['public', 'china', 'us-government'])),
    v.description('cloud of the vault and its sign-in; default public'),
  ),
  'dns-suffix': v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'a host name'))),
    v.description('suffix of the vault’s host name; default the cloud’s'),
  ),
  'authority-host': said('URL of the sign-in host; default $AZURE_AUTHORITY_HOST or the cloud’s'),
  names: v.pipe(
    v.optional(v.picklist(['plain', 'mapped'])),
    v.description('mapped: encode other characters of names in letters, digits and -'),
  ),
  ca: said('PEM file of a trusted authority, in addition to the system’s'),
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
      endpoint: said('URL of Azure Monitor’s query service; default the cloud’s'),
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
      'resource-id': said('user-assigned identity, by resource id'),
      'object-id': v.pipe(v.optional(guid), v.description('user-assigned identity, by object id')),
      certificate: said('PEM file with certificate and key; default $AZURE_CLIENT_CERTIFICATE_PATH'),
      'send-certificate-chain': v.pipe(
        v.optional(v.boolean()),
        v.description('for sign-in by subject name and issuer'),
      ),
      'token-file': said('file with the federated token; default $AZURE_FEDERATED_TOKEN_FILE'),
      subscription: said('subscription of the Azure CLI to sign in with'),
      'additional-tenants': v.pipe(
        v.optional(v.array(v.string())),
        v.description('additional tenants to request tokens from; "*" for any'),
      ),
    }),
  ),
});

export type AzureSettings = SettingsOf<typeof settingsSchema>;

export type TrailSettings = NonNullable<AzureSettings['trail']>;

export type AuthSettings = NonNullable<AzureSettings['auth']>;
