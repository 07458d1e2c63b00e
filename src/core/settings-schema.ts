/** Parts of the schemas of settings, and what settings are once they are read. */
import * as v from 'valibot';

export const text = v.pipe(v.string(), v.nonEmpty());
export const said = (what: string) => v.pipe(v.optional(text), v.description(what));
export const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
/** It becomes a part of a host's name: anything else in it could name another host. */
export const awsRegion = v.pipe(
  v.string(),
  v.regex(/^[a-z]{2,}(-[a-z0-9]+){1,5}$/, 'the name of a region, such as eu-west-1'),
);

/** Settings after validation: nobody writes to them, and no key is there without a value, since YAML has no such. */
export type SettingsOf<S extends v.GenericSchema> = Read<v.InferOutput<S>>;

type Read<T> = T extends object ? { readonly [K in keyof T]: Read<Exclude<T[K], undefined>> } : T;
