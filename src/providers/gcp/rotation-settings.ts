/** The `native:` section of a policy for a secret in Google Secret Manager. */
import * as v from 'valibot';

/** Source: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets#Topic */
export const nativeSchema = v.strictObject({
  topic: v.pipe(
    v.string(),
    v.regex(/^projects\/[a-z0-9.:-]+\/topics\/[A-Za-z][\w.~+%-]{2,254}$/, 'a topic as projects/P/topics/T'),
    v.description('Pub/Sub topic that Google tells when it is time; how often is the policy’s every'),
  ),
});
