/** Settings of a local store in secrets.yaml. */
import * as v from 'valibot';
import { said, type SettingsOf, text } from '../../core/settings-schema.ts';

export const settingsSchema = v.strictObject({
  path: said('folder of the store; default $XDG_DATA_HOME/secrets/store'),
  names: v.pipe(
    v.optional(v.picklist(['hidden', 'visible'])),
    v.description('whether file names show the secrets’ names; applies when the store is created'),
  ),
  key: v.optional(
    v.strictObject({
      method: v.optional(v.picklist(['keychain', 'key-file', 'passphrase', 'age'])),
      file: said('path of the key file'),
      recipients: v.pipe(v.optional(v.array(text)), v.description('age recipients that can read the store')),
      identity: said('path of the age identity file to read it with'),
    }),
  ),
});

export type LocalSettings = SettingsOf<typeof settingsSchema>;

/** How the data key is wrapped. */
export type KeyMethod = NonNullable<NonNullable<LocalSettings['key']>['method']>;
