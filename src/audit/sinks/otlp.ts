/**
 * Sends to an OpenTelemetry collector: OTLP over HTTP in protobuf, with the official exporter. Attributes are named
 * by the semantic conventions (https://opentelemetry.io/docs/specs/semconv/) where they have a name, otherwise
 * `secrets.*`.
 */
import http from 'node:http';
import https from 'node:https';
import { dirname } from 'node:path';
import { type AnyValueMap, SeverityNumber } from '@opentelemetry/api-logs';
import { ExportResultCode, parseKeyPairsIntoRecord } from '@opentelemetry/core';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider, type ReadableLogRecord, type SdkLogRecord } from '@opentelemetry/sdk-logs';
import type { AuditRecord } from '../../core/audit/record.ts';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../platform/files.ts';
import { isUntrusted, readAuthority } from '../../platform/net/authority.ts';
import { utf8 } from '../../core/utf8.ts';
import { version } from '../../core/version.ts';
import type { Queued } from './queue.ts';
import type { Sender, SinkContext } from './sender.ts';
import type { GivenSink } from './settings.ts';
import { severityOf } from './syslog-format.ts';

type Given = Extract<GivenSink, { type: 'otlp' }>;

/** Syslog severities mapped to those of OpenTelemetry: Logs Data Model, appendix B. */
const SEVERITIES = {
  warning: [SeverityNumber.WARN, 'WARN'],
  notice: [SeverityNumber.INFO2, 'INFO2'],
  info: [SeverityNumber.INFO, 'INFO'],
} as const;

export async function openOtlp(
  { url, headers: reference, ca }: Given,
  file: string,
  { secret }: SinkContext,
): Promise<Sender> {
  const headers = reference === undefined ? {} : parseHeaders(await secret(reference));
  const authority = readAuthority(ca, dirname(file));
  return {
    send: async (records, signal, ms) => {
      const secure = new URL(url).protocol === 'https:';
      const agent = secure
        ? new https.Agent({ ...(authority !== undefined && { ca: authority }) })
        : new http.Agent();
      const stop = (): void => agent.destroy();
      signal.addEventListener('abort', stop, { once: true });
      const exporter = new OTLPLogExporter({
        url,
        headers,
        userAgent: `secrets/${version}`,
        // The exporter's own retries end with this timeout; ours come later.
        timeoutMillis: ms,
        httpAgentOptions: () => agent,
      });
      try {
        await exported(exporter, logRecords(records), new URL(url).host, signal);
      } finally {
        signal.removeEventListener('abort', stop);
        agent.destroy();
        void exporter.shutdown().catch(() => {});
      }
    },
  };
}

/** Headers in the format of OTEL_EXPORTER_OTLP_HEADERS: `name=value,name=value`, values percent-encoded. */
function parseHeaders(value: Uint8Array): Record<string, string> {
  const headers = parseKeyPairsIntoRecord(utf8(value)?.trim());
  const fits = Object.entries(headers).every(
    ([name, text]) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t -~]*$/.test(text),
  );
  if (fits && Object.keys(headers).length > 0) return headers;
  throw new SecretsError('Invalid', 'its headers are not of the form name=value,name=value', {
    hint: 'use the format of OTEL_EXPORTER_OTLP_HEADERS, with percent-encoded values',
  });
}

function exported(
  exporter: OTLPLogExporter,
  records: ReadableLogRecord[],
  host: string,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((done, fail) => {
    const late = (): void => fail(new SecretsError('Unavailable', `${host} did not answer in time`));
    signal.addEventListener('abort', late, { once: true });
    if (signal.aborted) late();
    exporter.export(records, ({ code, error }) => {
      signal.removeEventListener('abort', late);
      if (code === ExportResultCode.SUCCESS) done();
      // The error's text may come from the server and be of any length.
      else fail(new SecretsError('Unavailable', `${host} ${failureOf(error)}`, { cause: error }));
    });
  });
}

function failureOf(error: Error | undefined): string {
  const status: unknown = (error as { code?: unknown } | undefined)?.code;
  if (typeof status === 'number') return `answered with status ${status}`;
  const code = codeOf(error) ?? codeOf(error?.cause);
  if (code !== undefined && isUntrusted(code)) return `has a certificate that is not trusted (${code})`;
  return code === undefined ? 'did not take the records' : `can’t be reached (${code})`;
}

/** Created through the SDK, which fills in what an exporter reads. */
function logRecords(queued: readonly Queued[]): ReadableLogRecord[] {
  const records: ReadableLogRecord[] = [];
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'secrets', 'service.version': version }),
    processors: [
      {
        onEmit: (record: SdkLogRecord) => void records.push(record),
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  });
  const logger = provider.getLogger('secrets.audit', version);
  for (const { record, line } of queued) {
    const [severityNumber, severityText] = SEVERITIES[severityOf(record)];
    const time = new Date(record.time);
    logger.emit({
      eventName: `secrets.${record.kind}`,
      timestamp: time,
      observedTimestamp: time,
      severityNumber,
      severityText,
      body: line,
      attributes: attributesOf(record),
    });
  }
  return records;
}

function attributesOf(record: AuditRecord): AnyValueMap {
  const { actor, keys } = record;
  const attributes: Record<string, string | number | string[] | undefined> = {
    'user.name': actor.user,
    'user.id': actor.uid === undefined ? undefined : String(actor.uid),
    'enduser.id': actor.principal,
    'host.name': record.host,
    'process.pid': record.pid,
    'error.type': record.error,
    'client.address': record.address,
    'user_agent.original': record.client,
    'secrets.seq': record.seq,
    'secrets.hash': record.hash,
    'secrets.action': record.action,
    'secrets.outcome': record.outcome,
    'secrets.command': record.command,
    'secrets.store': record.store,
    'secrets.provider': record.provider,
    'secrets.secret': record.secret,
    'secrets.version': record.version,
    'secrets.stage': record.stage,
    'secrets.keys': keys === undefined ? undefined : [...keys],
    'secrets.policies': record.policies === undefined ? undefined : [...record.policies],
    'secrets.agent': record.agent,
    'secrets.reason': record.reason,
    'secrets.request_id': record.requestId,
  };
  return Object.fromEntries(
    Object.entries(attributes).filter(
      (entry): entry is [string, string | number | string[]] => entry[1] !== undefined,
    ),
  );
}
