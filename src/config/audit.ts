/** The `audit:` section of a secrets.yaml: whether and where accesses are recorded. */
import * as v from 'valibot';

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
});
