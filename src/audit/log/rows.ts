/** Records as table rows and as CSV (RFC 4180). */
import type { AuditRecord } from '../../core/audit/record.ts';
import { singleLine } from '../../core/text/sanitize.ts';

const text = (value: unknown): string => (value === undefined ? '' : String(value));

export const tableHead = ['TIME', 'OUTCOME', 'COMMAND', 'ACTION', 'SECRET', 'ACTOR', 'NOTE'] as const;

/** @param isOpen for an intent: whether it has no recorded outcome */
export function tableRow(record: AuditRecord, isOpen: boolean): string[] {
  const { time, outcome, command, action, actor } = record;
  return [
    String(time).replace('T', ' '),
    text(outcome),
    command ?? '',
    ['access', 'intent'].includes(record.kind) ? text(action) : `(${record.kind})`,
    subject(record),
    [actor.user ?? actor.uid, actor.principal].filter((part) => part !== undefined).join(' as '),
    [record.error, record.reason, ...ownNote(record, isOpen)].filter((part) => part !== undefined).join('; '),
  ];
}

/** What it was about, as a reference, as far as the record says. */
function subject({ store, secret, keys, version }: AuditRecord): string {
  const name = secret === undefined ? '' : secret;
  const at = version === undefined ? '' : `?version=${version}`;
  const key = Array.isArray(keys) && keys.length > 0 ? `#${keys.join(',')}` : '';
  return `${store === undefined ? '' : `${store}://`}${name}${at}${key}`;
}

/** What a record about the log itself says. */
function ownNote(
  { kind, mode, repair, rotation, retention, checkpoint }: AuditRecord,
  isOpen: boolean,
): string[] {
  const parts: string[] = [];
  if (kind === 'intent') parts.push(isOpen ? 'outcome not recorded' : 'intent');
  if (mode !== undefined) parts.push(`the log is ${mode}`);
  if (repair?.found === 'torn') parts.push(`${text(repair.bytes)} torn bytes are in ${text(repair.file)}`);
  if (repair?.found === 'no-head') parts.push('the second head was gone');
  if (repair?.found === 'lost') parts.push(`records up to ${text(repair.lostSeq)} were gone`);
  if (rotation !== undefined) parts.push(`goes on from ${rotation.file}`);
  if (retention !== undefined) parts.push(`removed ${retention.from} to ${retention.to}`);
  if (checkpoint?.accepted !== undefined) parts.push('what was missing before is accepted');
  if (checkpoint !== undefined) parts.push(`signed by ${String(checkpoint.key).slice(0, 16)}`);
  return parts;
}

const COLUMNS: Readonly<Record<string, (record: AuditRecord, isOpen: boolean) => unknown>> = {
  time: ({ time }) => time,
  seq: ({ seq }) => seq,
  kind: ({ kind }) => kind,
  outcome: ({ outcome }) => outcome,
  error: ({ error }) => error,
  action: ({ action }) => action,
  command: ({ command }) => command,
  store: ({ store }) => store,
  provider: ({ provider }) => provider,
  secret: ({ secret }) => secret,
  version: ({ version }) => version,
  keys: ({ keys }) => (Array.isArray(keys) ? keys.join(' ') : undefined),
  user: ({ actor }) => actor.user,
  uid: ({ actor }) => actor.uid,
  principal: ({ actor }) => actor.principal,
  host: ({ host }) => host,
  pid: ({ pid }) => pid,
  reason: ({ reason }) => reason,
  policies: ({ policies }) => (Array.isArray(policies) ? policies.join(' ') : undefined),
  durationMs: ({ durationMs }) => durationMs,
  requestId: ({ requestId }) => requestId,
  intent: ({ intent }) => intent,
  note: (record, isOpen) => ownNote(record, isOpen).join('; '),
};

export function csvHead(): string {
  return csvLine(Object.keys(COLUMNS));
}

export function csvRow(record: AuditRecord, isOpen: boolean): string {
  return csvLine(Object.values(COLUMNS).map((column) => column(record, isOpen)));
}

/** A line of CSV, with its line end. */
export function csvLine(cells: readonly unknown[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'number') return String(value);
  const plain = singleLine(typeof value === 'string' ? value : JSON.stringify(value));
  // Spreadsheets treat these as the start of a formula (CWE-1236); the apostrophe makes it text.
  const safe = /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}
