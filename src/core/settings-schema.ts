/** Building blocks for the schemas of settings, and the type of validated settings. */
import * as v from 'valibot';

export const text = v.pipe(v.string(), v.nonEmpty());
export const said = (what: string) => v.pipe(v.optional(text), v.description(what));
export const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
/** It becomes part of a host name: any other characters could name a different host. */
export const awsRegion = v.pipe(
  v.string(),
  v.regex(/^[a-z]{2,}(-[a-z0-9]+){1,5}$/, 'the name of a region, such as eu-west-1'),
);

/** Settings after validation: read-only, and without undefined members, which YAML doesn't have. */
export type SettingsOf<S extends v.GenericSchema> = Read<v.InferOutput<S>>;

type Read<T> = T extends object ? { readonly [K in keyof T]: Read<Exclude<T[K], undefined>> } : T;
