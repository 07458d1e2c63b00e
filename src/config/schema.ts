/**
 * The keys of a secrets.yaml. scripts/config-schema.ts generates the published JSON Schema from it, and
 * src/config/parse.ts parses with it. To add a section, add an entry here and read it there; until then its key is an
 * error.
 */
import * as v from 'valibot';
import { auditSchema } from './audit.ts';
import { rotationSchema } from './rotation.ts';

/** Excludes names that are special in JavaScript objects; src/config/yaml.ts rejects them. */
const FREE = '(?!(?:__proto__|prototype|constructor)$)';
const named = (pattern: string, what: string) =>
  v.pipe(v.string(), v.regex(new RegExp(`^${FREE}${pattern}$`), what));

const storeName = named('[a-z][a-z0-9_-]{0,63}', 'a name of lower-case letters, digits, - or _');
const variable = named('[A-Za-z_][A-Za-z0-9_]*', 'a name of letters, digits and _');
const profileName = named('[A-Za-z0-9][A-Za-z0-9_.-]{0,63}', 'a name of letters, digits, _, . or -');

const entry = v.union([
  v.pipe(
    v.string(),
    v.description('a reference such as team://payments/db#url, or text that is not a secret'),
  ),
  v.strictObject({
    ref: v.pipe(
      v.string(),
      v.nonEmpty(),
      v.description('the reference; without a store, it means the default store'),
    ),
    as: v.pipe(
      v.optional(v.picklist(['value', 'file'])),
      v.description('file: the variable holds the path of a private file with the value'),
    ),
    optional: v.pipe(
      v.optional(v.boolean()),
      v.description('leave the variable unset if the secret does not exist, instead of failing'),
    ),
  }),
]);

/** Settings other than `provider` are checked by the provider's own schema. */
const anyStore = v.looseObject({ provider: v.string() });
/** Settings other than `type` are checked by the target's own schema. */
const anyTarget = v.looseObject({ type: v.string() });

/** Checked by the schema of the provider of the policy's secret. */
const anyNative = v.record(v.string(), v.string());

/**
 * The schema, given schemas for stores, targets and `native`: the loader's loose ones, or those shown in the JSON
 * Schema.
 */
export function fileSchema<S extends v.GenericSchema, T extends v.GenericSchema, N extends v.GenericSchema>(
  store: S,
  target: T,
  native: N,
) {
  const part = {
    default: v.pipe(v.optional(storeName), v.description('store for names without a store')),
    stores: v.pipe(v.nullish(v.record(storeName, store)), v.description('stores by name')),
    env: v.pipe(
      v.nullish(v.record(variable, entry)),
      v.description('variables that secrets exec and secrets env provide'),
    ),
    rotation: v.pipe(
      v.nullish(rotationSchema(target, native)),
      v.description('rotation policies by reference, and limits of secrets rotate'),
    ),
    audit: v.pipe(v.nullish(auditSchema), v.description('the log of who accessed which secret')),
  };
  return v.strictObject({
    ...part,
    profiles: v.pipe(
      v.nullish(v.record(profileName, v.strictObject(part))),
      v.description(
        'settings that take the place of those above with --profile NAME, store by store and variable by variable',
      ),
    ),
  });
}

export const looseFileSchema = fileSchema(anyStore, anyTarget, anyNative);
export type FileDocument = v.InferOutput<typeof looseFileSchema>;
export type PartDocument = Pick<FileDocument, 'default' | 'stores' | 'env' | 'rotation' | 'audit'>;
