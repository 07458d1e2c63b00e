/** Settings of a local store in secrets.yaml. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.nonEmpty());

export const settingsSchema = v.strictObject({
  path: v.pipe(v.optional(text), v.description('folder of the store; default $XDG_DATA_HOME/secrets/store')),
  names: v.pipe(
    v.optional(v.picklist(['hidden', 'visible'])),
    v.description('whether file names show the secrets’ names; applies when the store is created'),
  ),
  key: v.optional(
    v.strictObject({
      method: v.optional(v.picklist(['keychain', 'key-file', 'passphrase', 'age'])),
      file: v.pipe(v.optional(text), v.description('path of the key file')),
      recipients: v.pipe(v.optional(v.array(text)), v.description('age recipients that can read the store')),
      identity: v.pipe(v.optional(text), v.description('path of the age identity file to read it with')),
    }),
  ),
});

/** The settings after validation. */
export interface LocalSettings {
  readonly path?: string;
  readonly names?: 'hidden' | 'visible';
  readonly key?: {
    readonly method?: KeyMethod;
    readonly file?: string;
    readonly recipients?: readonly string[];
    readonly identity?: string;
  };
}

/** How the data key is wrapped. */
export type KeyMethod = 'keychain' | 'key-file' | 'passphrase' | 'age';
