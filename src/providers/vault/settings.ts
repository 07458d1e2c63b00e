/** Settings of a Vault store in secrets.yaml. */
import * as v from 'valibot';
import { awsRegion, said, type SettingsOf } from '../../core/settings-schema.ts';

export const settingsSchema = v.strictObject({
  address: said('URL of the server; default $VAULT_ADDR'),
  mount: said('path of the KV engine; default secret'),
  'kv-version': v.pipe(
    v.optional(v.picklist([1, 2])),
    v.description('version of the KV engine; detected by default'),
  ),
  namespace: said('namespace; default $VAULT_NAMESPACE'),
  ca: said('PEM file of the trusted authority; default $VAULT_CACERT'),
  'tls-server-name': said('name in the server’s certificate; default $VAULT_TLS_SERVER_NAME'),
  auth: v.optional(
    v.strictObject({
      method: v.picklist(['token', 'approle', 'userpass', 'jwt', 'kubernetes', 'aws', 'cert']),
      mount: said('path of the auth method; default its name'),
      role: said('role to sign in to, for jwt, kubernetes, aws and cert'),
      'role-id': said('for approle; default $VAULT_ROLE_ID'),
      username: said('for userpass; default $VAULT_USERNAME'),
      'token-file': said(
        'file that holds the token (default ~/.vault-token), for jwt the JWT, for kubernetes the service account’s token, for approle the secret id',
      ),
      wrapped: v.pipe(
        v.optional(v.boolean()),
        v.description('the token, or for approle the secret id, is response-wrapped'),
      ),
      region: v.pipe(v.optional(awsRegion), v.description('for aws: region of STS; default us-east-1')),
      'server-id': said('for aws: what X-Vault-AWS-IAM-Server-ID must say'),
    }),
  ),
  trail: v.optional(
    v.strictObject({
      file: said('file of the audit device, for secrets audit trail; .gz is unpacked'),
      device: v.pipe(
        v.optional(
          v.pipe(
            v.string(),
            v.regex(/^[\w-][\w.-]*(\/[\w-][\w.-]*)*\/?$/, 'the path of an audit device, such as file'),
          ),
        ),
        v.description(
          'path of the audit device, to ask Vault for its hashes; without it, Vault is not asked',
        ),
      ),
    }),
  ),
});

export type VaultSettings = SettingsOf<typeof settingsSchema>;

export type AuthSettings = NonNullable<VaultSettings['auth']>;

export type AuthMethod = AuthSettings['method'];
