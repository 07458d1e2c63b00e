/** The `native:` section of a policy for a secret in Azure Key Vault. */
import * as v from 'valibot';

export const nativeSchema = v.strictObject({
  reminder: v.pipe(
    v.picklist(['expiry']),
    v.description('the expiry date of each new version, before which Key Vault tells Event Grid'),
  ),
  after: v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^[1-9]\d{0,4}[hdw]$/, 'a duration such as 90d'))),
    v.description('how long after the version was written; default the policy’s every'),
  ),
});
