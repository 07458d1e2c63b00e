/** Durations in a secrets.yaml. `parsePeriod` in src/core/duration.ts parses them. */
import * as v from 'valibot';

/** @param examples the examples in error messages */
export const periodLike = (examples: string) =>
  v.pipe(v.string(), v.regex(/^[1-9]\d{0,5}[smhdw]$/, `a duration such as ${examples}`));

export const period = periodLike('12h, 30d or 8w');
