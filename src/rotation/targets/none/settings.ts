/** Settings of the target `none`: there are none. */
import * as v from 'valibot';

export const settingsSchema = v.strictObject({});
