/** Spans of time as the sections of a secrets.yaml take them: `parsePeriod` in src/core/duration.ts reads them. */
import * as v from 'valibot';

/** @param examples what an error names */
export const periodLike = (examples: string) =>
  v.pipe(v.string(), v.regex(/^[1-9]\d{0,5}[smhdw]$/, `a duration such as ${examples}`));

export const period = periodLike('12h, 30d or 8w');
