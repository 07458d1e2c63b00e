/** Settings of a Conjur store in secrets.yaml. */
import * as v from 'valibot';
import { said, type SettingsOf } from '../../core/settings-schema.ts';

export const settingsSchema = v.strictObject({
  url: said('URL of the server; default $CONJUR_APPLIANCE_URL'),
  account: said('account; default $CONJUR_ACCOUNT'),
  ca: said('PEM file of the trusted authority; default $CONJUR_CERT_FILE'),
  policy: said('policy branch in which put creates missing variables; default root'),
  auth: v.optional(
    v.strictObject({
      method: v.picklist(['api-key', 'token', 'jwt', 'iam']),
      'service-id': said('id of the authenticator, for jwt and iam'),
      login: said('host/… or a user; default $CONJUR_AUTHN_LOGIN; for jwt only where the token names none'),
      netrc: said('file with login and API key; default ~/.netrc'),
      'token-file': said('file with an access token'),
      'jwt-file': said('file with the JWT; default $JWT_TOKEN_PATH'),
      region: said('AWS region to sign for, for iam; default $AWS_REGION'),
    }),
  ),
  trail: v.optional(
    v.strictObject({
      file: said('file of Conjur’s audit messages (RFC 5424), for secrets audit trail; .gz is unpacked'),
    }),
  ),
});

export type ConjurSettings = SettingsOf<typeof settingsSchema>;
