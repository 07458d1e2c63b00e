/** Settings of the target `vault-static-role`: the sign-in settings of a Vault store, and the role. */
import * as v from 'valibot';
import { port, said, type SettingsOf, text } from '../../../core/settings-schema.ts';
import { settingsSchema as store } from '../../../providers/vault/settings.ts';

const { address, namespace, ca, auth } = store.entries;

export const settingsSchema = v.strictObject({
  role: v.pipe(text, v.description('name of the static role')),
  mount: said('path of the database engine; default database'),
  address,
  namespace,
  ca,
  'tls-server-name': store.entries['tls-server-name'],
  auth,
  login: v.pipe(
    v.optional(
      v.strictObject({
        type: v.picklist(['postgres', 'mysql']),
        host: v.optional(text),
        port: v.optional(port),
        database: v.optional(text),
        ca: v.optional(text),
      }),
    ),
    v.description('the database to sign in to with the new password; without it Vault’s word is taken'),
  ),
});

export type StaticRoleSettings = SettingsOf<typeof settingsSchema>;
