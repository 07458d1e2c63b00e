/** Settings of a Google store in secrets.yaml. */
import * as v from 'valibot';

const text = v.pipe(v.string(), v.nonEmpty());
const place = v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/));

export const settingsSchema = v.strictObject({
  project: v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9.:-]+$/))),
    v.description('project; default $GOOGLE_CLOUD_PROJECT, the key file’s, or gcloud’s'),
  ),
  location: v.pipe(v.optional(place), v.description('region of regional secrets; global without it')),
  prefix: v.pipe(v.optional(text), v.description('prefix of every name, removed in lists')),
  credentials: v.pipe(
    v.optional(text),
    v.description('credentials file; default the application default credentials'),
  ),
  impersonate: v.pipe(
    v.optional(text),
    v.description('service account to impersonate, preceded by delegates, separated by commas'),
  ),
  'quota-project': v.pipe(v.optional(text), v.description('project that is charged for calls')),
  transport: v.pipe(v.optional(v.picklist(['rest', 'grpc'])), v.description('default rest')),
  endpoint: v.pipe(
    v.optional(text),
    v.description('URL in place of Google’s; default $CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER'),
  ),
  'logging-endpoint': v.pipe(
    v.optional(text),
    v.description(
      'URL of Cloud Logging; default $CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING, or an endpoint on loopback',
    ),
  ),
  'universe-domain': v.pipe(v.optional(text), v.description('default googleapis.com')),
  ca: v.pipe(v.optional(text), v.description('PEM file of the trusted authority')),
  replication: v.optional(
    v.strictObject({
      locations: v.pipe(
        v.optional(v.pipe(v.array(place), v.minLength(1))),
        v.description('replication of new secrets; default automatic'),
      ),
      'kms-key': v.pipe(v.optional(text), v.description('key for new secrets')),
    }),
  ),
  'version-destroy-days': v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
    v.description('days during which a purged version of a new secret can still be enabled; default none'),
  ),
});

/** The settings after validation; `null` where a native identifier takes a setting away. */
export interface GcpSettings {
  readonly project?: string;
  readonly location?: string | null;
  readonly prefix?: string | null;
  readonly credentials?: string;
  readonly impersonate?: string;
  readonly 'quota-project'?: string;
  readonly transport?: 'rest' | 'grpc';
  readonly endpoint?: string;
  readonly 'logging-endpoint'?: string;
  readonly 'universe-domain'?: string;
  readonly ca?: string;
  readonly replication?: { readonly locations?: readonly string[]; readonly 'kms-key'?: string };
  readonly 'version-destroy-days'?: number;
}
