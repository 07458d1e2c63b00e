/** Settings of the target `program`. */
import * as v from 'valibot';
import { text, type SettingsOf } from '../../../core/settings-schema.ts';

const command = v.union([text, v.pipe(v.array(text), v.minLength(1))]);

export const settingsSchema = v.strictObject({
  apply: v.pipe(
    command,
    v.description('program, or a list of it and its arguments: makes the target take the new value'),
  ),
  verify: v.pipe(
    v.optional(command),
    v.description(
      'ends with 0 if the value works, with 10 if it is refused, as a wrong one must be; none: values are not tried',
    ),
  ),
  retire: v.pipe(v.optional(command), v.description('ends the life of a replaced value')),
});

export type ProgramSettings = SettingsOf<typeof settingsSchema>;

export type Command = ProgramSettings['apply'];
