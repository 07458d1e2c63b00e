/**
 * A record as a syslog message (RFC 5424), framed by its length (RFC 5425 section 4.3, RFC 6587 section 3.4.1). Pure.
 *
 * The message text is the record's JSON with everything beyond ASCII escaped: RFC 5424 requires a byte order mark
 * before UTF-8, which not every receiver removes. The canonical form, and so the hash, stays the same.
 */
import type { AuditRecord } from '../../core/audit/record.ts';
import { FACILITIES, type Facility } from './settings.ts';

/** RFC 5424, table 2. */
const SEVERITIES = { warning: 4, notice: 5, info: 6 } as const;
export type Severity = keyof typeof SEVERITIES;

/**
 * Elements that aren't registered with IANA are named by an enterprise number. 32473 is reserved for examples by RFC
 * 5612; the project has no number of its own.
 */
const ELEMENT = 'secrets@32473';

export function severityOf({ outcome, kind, mode, retention }: AuditRecord): Severity {
  if (outcome === 'denied' || kind === 'repair' || mode === 'off' || retention?.unsent !== undefined)
    return 'warning';
  return outcome === 'failed' ? 'notice' : 'info';
}

export function syslogFrame(record: AuditRecord, line: string, facility: Facility): Buffer {
  const message = Buffer.from(syslogMessage(record, line, facility));
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

export function syslogMessage(record: AuditRecord, line: string, facility: Facility): string {
  const priority = FACILITIES[facility] * 8 + SEVERITIES[severityOf(record)];
  const { kind, action, host, pid, time } = record;
  const header = [
    `<${priority}>1`,
    time,
    word(host, 255),
    'secrets',
    word(pid === undefined ? undefined : String(pid), 128),
    word(kind === 'access' ? action : kind, 32),
  ];
  return `${header.join(' ')} ${structuredData(record)} ${asciiJson(line)}`;
}

/** A header field in PRINTUSASCII; `-` if unknown. */
function word(text: string | undefined, longest: number): string {
  const fit = (text ?? '').replaceAll(/[^\u0021-\u007e]/g, '?').slice(0, longest);
  return fit === '' ? '-' : fit;
}

function structuredData(record: AuditRecord): string {
  const { seq, hash, kind, action, outcome, error, store, provider, secret, version } = record;
  const { stage, keys, command, reason, actor } = record;
  const params: Readonly<Record<string, string | undefined>> = {
    seq: String(seq),
    hash,
    kind,
    action,
    outcome,
    error,
    user: actor.user,
    uid: actor.uid === undefined ? undefined : String(actor.uid),
    principal: actor.principal,
    store,
    provider,
    secret,
    version,
    stage,
    keys: keys?.join(','),
    command,
    reason,
  };
  const parts = Object.entries(params).flatMap(([name, value]) =>
    value === undefined ? [] : [` ${name}="${paramValue(value)}"`],
  );
  return `[${ELEMENT}${parts.join('')}]`;
}

/** Longest parameter value; the message text has it in full. */
const MAX_PARAM = 512;

/** RFC 5424, section 6.3.3: `"`, `\` and `]` are escaped. Control characters only appear in the message text. */
function paramValue(value: string): string {
  const cut = value.length > MAX_PARAM ? Buffer.from(value.slice(0, MAX_PARAM)).toString() : value;
  return cut.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '?').replaceAll(/["\\\]]/g, String.raw`\$&`);
}

/** In JSON, characters beyond ASCII only occur in strings, where each can be written as an escape. */
function asciiJson(line: string): string {
  return line.replaceAll(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
