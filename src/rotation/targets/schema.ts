/** Parts of the schemas of targets' settings. */
import * as v from 'valibot';

export const text = v.pipe(v.string(), v.nonEmpty());
export const said = (what: string) => v.pipe(v.optional(text), v.description(what));
export const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
