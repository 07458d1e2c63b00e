/** Settings of the target `postgres`. */
import * as v from 'valibot';
import { databaseSettings } from '../database/settings.ts';

export const settingsSchema = v.strictObject(databaseSettings);
