/** Settings of a store that a plugin serves. */
import * as v from 'valibot';

/** The part after `secrets-provider-` in the program's name. */
export const PLUGIN_NAME = /^[a-z][a-z0-9-]{0,63}$/;

export const settingsSchema = v.strictObject({
  plugin: v.pipe(
    v.string(),
    v.regex(PLUGIN_NAME, 'a plugin’s name: lower-case letters, digits and -'),
    v.description('NAME of the program secrets-provider-NAME on PATH'),
  ),
  settings: v.pipe(
    v.optional(v.record(v.string(), v.unknown())),
    v.description('settings of the plugin; see its own documentation'),
  ),
  env: v.pipe(
    v.optional(
      v.array(
        v.pipe(
          v.string(),
          v.regex(
            /^(?!SECRETS_)[A-Za-z_][A-Za-z0-9_]*$/,
            'the name of a variable, and none that starts with SECRETS_',
          ),
        ),
      ),
    ),
    v.description('additional variables for the plugin, beside PATH, HOME, locale, proxies and similar ones'),
  ),
});

export interface ExecSettings {
  readonly plugin?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: readonly string[];
}
