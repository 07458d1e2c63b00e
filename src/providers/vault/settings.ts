/** Settings of a Vault store in secrets.yaml. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.nonEmpty());

export const settingsSchema = v.strictObject({
  address: v.pipe(v.optional(text), v.description('URL of the server; default $VAULT_ADDR')),
  mount: v.pipe(v.optional(text), v.description('path of the KV engine; default secret')),
  'kv-version': v.pipe(
    v.optional(v.picklist([1, 2])),
    v.description('version of the KV engine; found out when left out'),
  ),
  namespace: v.pipe(v.optional(text), v.description('namespace; default $VAULT_NAMESPACE')),
  ca: v.pipe(v.optional(text), v.description('PEM file of the authority to believe; default $VAULT_CACERT')),
  auth: v.optional(
    v.strictObject({
      method: v.picklist(['token', 'approle', 'userpass', 'jwt']),
      mount: v.pipe(v.optional(text), v.description('path of the auth method; default its name')),
      role: v.pipe(v.optional(text), v.description('role to sign in to, for jwt')),
      'role-id': v.pipe(v.optional(text), v.description('for approle; default $VAULT_ROLE_ID')),
      username: v.pipe(v.optional(text), v.description('for userpass')),
      'token-file': v.pipe(
        v.optional(text),
        v.description('file that holds the token, or for jwt the JWT; default ~/.vault-token'),
      ),
      wrapped: v.pipe(v.optional(v.boolean()), v.description('the token is response-wrapped')),
    }),
  ),
});

/** The settings after validation. */
export interface VaultSettings {
  readonly address?: string;
  readonly mount?: string;
  readonly 'kv-version'?: 1 | 2;
  readonly namespace?: string;
  readonly ca?: string;
  readonly auth?: {
    readonly method: 'token' | 'approle' | 'userpass' | 'jwt';
    readonly mount?: string;
    readonly role?: string;
    readonly 'role-id'?: string;
    readonly username?: string;
    readonly 'token-file'?: string;
    readonly wrapped?: boolean;
  };
}
