/** Settings of a Conjur store in secrets.yaml. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.nonEmpty());

export const settingsSchema = v.strictObject({
  url: v.pipe(v.optional(text), v.description('URL of the server; default $CONJUR_APPLIANCE_URL')),
  account: v.pipe(v.optional(text), v.description('account; default $CONJUR_ACCOUNT')),
  ca: v.pipe(v.optional(text), v.description('PEM file of the trusted authority; default $CONJUR_CERT_FILE')),
  policy: v.pipe(
    v.optional(text),
    v.description('policy branch in which put creates missing variables; default root'),
  ),
  auth: v.optional(
    v.strictObject({
      method: v.picklist(['api-key', 'token', 'jwt', 'iam']),
      'service-id': v.pipe(v.optional(text), v.description('id of the authenticator, for jwt and iam')),
      login: v.pipe(
        v.optional(text),
        v.description(
          'host/… or a user; default $CONJUR_AUTHN_LOGIN; for jwt only where the token names none',
        ),
      ),
      netrc: v.pipe(v.optional(text), v.description('file with login and API key; default ~/.netrc')),
      'token-file': v.pipe(v.optional(text), v.description('file with an access token')),
      'jwt-file': v.pipe(v.optional(text), v.description('file with the JWT; default $JWT_TOKEN_PATH')),
      region: v.pipe(v.optional(text), v.description('AWS region to sign for, for iam; default $AWS_REGION')),
    }),
  ),
  trail: v.optional(
    v.strictObject({
      file: v.pipe(
        v.optional(text),
        v.description('file of Conjur’s audit messages (RFC 5424), for secrets audit trail; .gz is unpacked'),
      ),
    }),
  ),
});

/** The settings after validation. */
export interface ConjurSettings {
  readonly url?: string;
  readonly account?: string;
  readonly ca?: string;
  readonly policy?: string;
  readonly auth?: {
    readonly method: 'api-key' | 'token' | 'jwt' | 'iam';
    readonly 'service-id'?: string;
    readonly login?: string;
    readonly netrc?: string;
    readonly 'token-file'?: string;
    readonly 'jwt-file'?: string;
    readonly region?: string;
  };
  readonly trail?: { readonly file?: string };
}
