/**
 * The `audit:` section of a secrets.yaml: whether and where accesses are recorded, and the thresholds of the report.
 */
import * as v from 'valibot';
import { said, text } from '../core/settings-schema.ts';
import { auditReportEntries } from './audit-report.ts';
import { FACILITIES, type Facility } from '../audit/sinks/settings.ts';
import { periodLike } from './period.ts';

const size = v.pipe(v.string(), v.regex(/^[1-9]\d{0,4}[KMG]iB$/, 'a size such as 512KiB, 64MiB or 1GiB'));
const period = periodLike('90d or 52w');
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000));

const ca = said('PEM file of the trusted authority');
const hold = v.pipe(
  v.optional(period),
  v.description(
    'how long the log keeps records that this sink has not received, beyond its own retention rule; default 30d',
  ),
);
const facilities = Object.keys(FACILITIES) as Facility[];

const sinkSchema = v.variant('type', [
  v.strictObject({
    type: v.pipe(v.literal('syslog'), v.description('RFC 5424 messages')),
    address: v.pipe(
      text,
      v.description('unix:/PATH (a stream socket), tls://HOST:PORT, or tcp://127.0.0.1:PORT'),
    ),
    ca,
    facility: v.pipe(v.optional(v.picklist(facilities)), v.description('default authpriv')),
    hold,
  }),
  v.strictObject({
    type: v.pipe(v.literal('otlp'), v.description('OpenTelemetry logs over HTTP')),
    url: v.pipe(text, v.description('full URL, such as https://collector.example:4318/v1/logs')),
    headers: said(
      'reference to a secret with headers in the format of OTEL_EXPORTER_OTLP_HEADERS; default: that variable',
    ),
    ca,
    hold,
  }),
  v.strictObject({
    type: v.pipe(v.literal('webhook'), v.description('JSON batches, sent by POST')),
    url: v.pipe(text, v.description('https URL')),
    secret: said('reference to the key that signs requests according to Standard Webhooks'),
    ca,
    hold,
  }),
]);

/** Without __proto__ and the like, which src/config/yaml.ts rejects. */
const sinkName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9_-]{0,63}$/, 'a name of lower-case letters, digits, - or _'),
);

export const auditSchema = v.strictObject({
  log: v.pipe(
    v.optional(v.picklist(['required', 'best-effort', 'off'])),
    v.description(
      'required: no value without its record on disk; best-effort: warn if a record can’t be written; off; default best-effort',
    ),
  ),
  path: said('path of the log; default $XDG_STATE_HOME/secrets/audit/audit.jsonl'),
  key: v.pipe(
    v.optional(v.picklist(['key-file', 'keychain'])),
    v.description(
      'storage of the signing key: a 0600 file, or that file encrypted with a passphrase in the OS key chain; default: unchanged, a new key in a file',
    ),
  ),
  'rotate-size': v.pipe(
    v.optional(size),
    v.description('size at which a file is closed and the next one started; default 64MiB'),
  ),
  keep: v.pipe(
    v.optional(period),
    v.description('age of the last record after which closed files are removed; default: never'),
  ),
  'keep-files': v.pipe(
    v.optional(count),
    v.description('maximum number of closed files to keep; default: all'),
  ),
  ...auditReportEntries,
  sinks: v.pipe(
    v.optional(v.record(sinkName, sinkSchema)),
    v.description('additional receivers of the records, by name'),
  ),
});
