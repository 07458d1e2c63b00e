/** Settings of the target `postgres`: those of every database. */
export { settingsSchema } from '../database/settings.ts';
