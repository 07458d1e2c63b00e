/** Settings that the database targets share. */
import * as v from 'valibot';
import { port, said, text, type SettingsOf } from '../../../core/settings-schema.ts';

export const databaseSettings = {
  host: said('host, or path of a Unix socket; a secret that names another is refused'),
  port: v.pipe(v.optional(port), v.description('port; a secret with another one is refused')),
  database: said('database that the user connects to; a secret with another one is refused'),
  username: said('user whose password is changed; a secret with another one is refused'),
  admin: said('reference of the secret whose user changes the password; default: the user itself does'),
  users: v.pipe(
    v.optional(v.pipe(v.array(text), v.length(2))),
    v.description('two users that take turns; needs admin'),
  ),
  ca: said('PEM file of the trusted authority'),
  verify: v.pipe(
    v.optional(v.picklist(['sign-in', 'none'])),
    v.description(
      'verification of a new password: by a sign-in (default), or none, if the server accepts any password',
    ),
  ),
};

export const settingsSchema = v.strictObject(databaseSettings);

export type DatabaseSettings = SettingsOf<typeof settingsSchema>;
