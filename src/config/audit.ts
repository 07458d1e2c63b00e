/** The `audit:` section of a secrets.yaml: whether and where accesses are recorded, and what the report measures by. */
import * as v from 'valibot';
import { auditReportEntries } from './audit-report.ts';

const size = v.pipe(v.string(), v.regex(/^[1-9]\d{0,4}[KMG]iB$/, 'a size such as 512KiB, 64MiB or 1GiB'));
const period = v.pipe(v.string(), v.regex(/^[1-9]\d{0,5}[smhdw]$/, 'a duration such as 90d or 52w'));
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000));

export const auditSchema = v.strictObject({
  log: v.pipe(
    v.optional(v.picklist(['required', 'best-effort', 'off'])),
    v.description(
      'required: no value without its record on disk; best-effort: warns when that fails; off; default best-effort',
    ),
  ),
  path: v.pipe(
    v.optional(v.pipe(v.string(), v.nonEmpty())),
    v.description('file of the log; default $XDG_STATE_HOME/secrets/audit/audit.jsonl'),
  ),
  'rotate-size': v.pipe(
    v.optional(size),
    v.description('a file of this size is closed and the next one begun; default 64MiB'),
  ),
  keep: v.pipe(
    v.optional(period),
    v.description('closed files whose last record is older are removed; default: none is'),
  ),
  'keep-files': v.pipe(
    v.optional(count),
    v.description('how many closed files are kept at most; default: all'),
  ),
  ...auditReportEntries,
});
