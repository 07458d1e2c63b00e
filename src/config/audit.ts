/** The `audit:` section of a secrets.yaml: whether and where accesses are recorded, and what the report measures by. */
import * as v from 'valibot';
import { auditReportEntries } from './audit-report.ts';
import { FACILITIES, type Facility } from '../audit/sinks/settings.ts';
import { periodLike } from './period.ts';

const size = v.pipe(v.string(), v.regex(/^[1-9]\d{0,4}[KMG]iB$/, 'a size such as 512KiB, 64MiB or 1GiB'));
const period = periodLike('90d or 52w');
const count = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000));

const text = v.pipe(v.string(), v.nonEmpty());
const ca = v.pipe(v.optional(text), v.description('PEM file of the authority to believe'));
const hold = v.pipe(
  v.optional(period),
  v.description('how long the log keeps what this sink has not taken, beyond its own rule; default 30d'),
);
const facilities = Object.keys(FACILITIES) as Facility[];

const sinkSchema = v.variant('type', [
  v.strictObject({
    type: v.pipe(v.literal('syslog'), v.description('messages of RFC 5424')),
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
    url: v.pipe(text, v.description('whole URL, such as https://collector.example:4318/v1/logs')),
    headers: v.pipe(
      v.optional(text),
      v.description(
        'reference of a secret that holds headers as OTEL_EXPORTER_OTLP_HEADERS does; default: that variable',
      ),
    ),
    ca,
    hold,
  }),
  v.strictObject({
    type: v.pipe(v.literal('webhook'), v.description('batches in JSON, by POST')),
    url: v.pipe(text, v.description('https URL')),
    secret: v.pipe(
      v.optional(text),
      v.description('reference of the key that signs what is sent, as Standard Webhooks do'),
    ),
    ca,
    hold,
  }),
]);

/** Not __proto__ and the like: src/config/yaml.ts refuses those. */
const sinkName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9_-]{0,63}$/, 'a name of lower-case letters, digits, - or _'),
);

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
  key: v.pipe(
    v.optional(v.picklist(['key-file', 'keychain'])),
    v.description(
      'where the key that signs the log is kept: in a 0600 file, or that file encrypted with its passphrase in the OS key chain; default: as it is, a new one in a file',
    ),
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
  sinks: v.pipe(
    v.optional(v.record(sinkName, sinkSchema)),
    v.description('where records are sent to as well, by name'),
  ),
});
