/** Settings of the target `mysql`. */
import * as v from 'valibot';
import { said, type SettingsOf } from '../../../core/settings-schema.ts';
import { databaseSettings } from '../database/settings.ts';

export const settingsSchema = v.strictObject({
  ...databaseSettings,
  'account-host': said(
    'host part of the account that is changed; with an administrator % when left out; a sign-in that comes to another is refused',
  ),
  'server-key': said('PEM file of the server’s RSA key, for MySQL’s own plugins where there is no TLS'),
});

export type MysqlSettings = SettingsOf<typeof settingsSchema>;
