/** Settings of a Google store in secrets.yaml. */
import * as v from 'valibot';
import { said, type SettingsOf } from '../../core/settings-schema.ts';

const place = v.pipe(v.string(), v.regex(/^[a-z0-9-]+$/));

export const settingsSchema = v.strictObject({
  project: v.pipe(
    v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9.:-]+$/))),
    v.description('project; default $GOOGLE_CLOUD_PROJECT, the key file’s, or gcloud’s'),
  ),
  location: v.pipe(v.optional(place), v.description('region of regional secrets; global without it')),
  prefix: said('prefix of every name, removed in lists'),
  credentials: said('credentials file; default the application default credentials'),
  impersonate: said('service account to impersonate, preceded by delegates, separated by commas'),
  'quota-project': said('project that is charged for calls'),
  transport: v.pipe(v.optional(v.picklist(['rest', 'grpc'])), v.description('default rest')),
  endpoint: said('URL in place of Google’s; default $CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER'),
  'logging-endpoint': said(
    'URL of Cloud Logging; default $CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING, or an endpoint on loopback',
  ),
  'universe-domain': said('default googleapis.com'),
  ca: said('PEM file of the trusted authority'),
  replication: v.optional(
    v.strictObject({
      locations: v.pipe(
        v.optional(v.pipe(v.array(place), v.minLength(1))),
        v.description('replication of new secrets; default automatic'),
      ),
      'kms-key': said('key for new secrets'),
    }),
  ),
  'version-destroy-days': v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000))),
    v.description('days during which a purged version of a new secret can still be enabled; default none'),
  ),
});

/** The settings after validation; `null` if a native identifier overrides a setting. */
export interface GcpSettings extends Omit<SettingsOf<typeof settingsSchema>, 'location' | 'prefix'> {
  readonly location?: string | null;
  readonly prefix?: string | null;
}
