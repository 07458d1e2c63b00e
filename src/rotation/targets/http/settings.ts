/** Settings of the target `http`. */
import * as v from 'valibot';
import { said, text, type SettingsOf } from '../../../core/settings-schema.ts';

const status = v.pipe(v.number(), v.integer(), v.minValue(100), v.maxValue(599));
const statuses = (what: string) => v.pipe(v.optional(v.array(status)), v.description(what));

const callEntries = {
  method: v.pipe(
    v.optional(v.picklist(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])),
    v.description('default POST, of verify GET'),
  ),
  url: v.pipe(text, v.description('URL; placeholders in path and query are replaced')),
  headers: v.pipe(
    v.optional(v.record(text, v.string())),
    v.description('headers; placeholders are replaced'),
  ),
  basic: v.pipe(
    v.optional(v.strictObject({ username: v.string(), password: v.string() })),
    v.description('HTTP basic authentication; placeholders are replaced'),
  ),
  body: v.pipe(v.optional(v.any()), v.description('JSON document; places in its strings are filled')),
};

export const settingsSchema = v.strictObject({
  apply: v.strictObject({ ...callEntries, ok: statuses('statuses of success; default 200 to 299') }),
  verify: v.optional(
    v.union([
      v.literal('none'),
      v.strictObject({
        ...callEntries,
        accepted: statuses('statuses that mean the credential works; default 200 to 299'),
        refused: statuses('statuses that mean it does not; default 401 and 403'),
      }),
    ]),
  ),
  retire: v.optional(
    v.strictObject({ ...callEntries, ok: statuses('statuses of success; default 200 to 299, 404 and 410') }),
  ),
  admin: said('reference of another secret, for {{admin}}'),
  ca: said('PEM file of the trusted authority'),
});

export type HttpSettings = SettingsOf<typeof settingsSchema>;

export type VerifyCall = Exclude<HttpSettings['verify'], 'none' | undefined>;

/** The fields that all calls share. */
export type HttpCall = Omit<VerifyCall, 'accepted' | 'refused'>;
