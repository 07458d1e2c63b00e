/** The target `none` has no settings. */
import * as v from 'valibot';

export const settingsSchema = v.strictObject({});
