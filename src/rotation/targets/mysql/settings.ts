/** Settings of the target `mysql`. */
import * as v from 'valibot';
import { databaseSettings } from '../database/settings.ts';

export const settingsSchema = v.strictObject({
  ...databaseSettings,
  'account-host': v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty())),
    v.description('host part of the account that the administrator changes; default %'),
  ),
});
