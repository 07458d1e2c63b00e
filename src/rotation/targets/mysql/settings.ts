/** Settings of the target `mysql`. */
import * as v from 'valibot';
import { databaseSettings } from '../database/settings.ts';
import { said } from '../schema.ts';

export const settingsSchema = v.strictObject({
  ...databaseSettings,
  'account-host': said('host part of the account that the administrator changes; default %'),
});
