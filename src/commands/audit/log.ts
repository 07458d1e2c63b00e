import { resolve } from 'node:path';
import { openIntents, withoutAnswered } from '../../audit/log/open-intents.ts';
import { followAuditLog, newestSeq, readAuditLog, type ReadOptions } from '../../audit/log/read.ts';
import { csvHead, csvRow, tableHead, tableRow } from '../../audit/log/rows.ts';
import type { AuditFilter, SecretPattern } from '../../core/audit/filter.ts';
import type { AuditOutcome, AuditRecord } from '../../core/audit/record.ts';
import { SecretsError } from '../../core/errors.ts';
import { parseReference } from '../../core/reference/reference.ts';
import { jsonText, singleLine } from '../../core/text/sanitize.ts';
import { printTable } from '../../output/table.ts';
import type { Session } from '../../session/session.ts';
import { parseTime } from '../../core/period.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface LogOptions extends CommonOptions {
  readonly since?: string;
  readonly until?: string;
  readonly secret?: string;
  readonly actor?: string;
  readonly command?: readonly string[];
  readonly outcome?: readonly AuditOutcome[];
  readonly limit?: string;
  readonly follow?: boolean;
  readonly all?: boolean;
  readonly csv?: boolean;
  readonly file?: string;
}

/** What a person looks at. */
const TERMINAL_LIMIT = 200;
/** Rows that are written at once. */
const BATCH = 500;
/** Rows whose columns are aligned at a terminal: all of them have to be held until the last is known. */
const ALIGNED = 5000;
/** What a reader wants to know beside accesses. */
const KINDS: readonly AuditRecord['kind'][] = ['access', 'mode', 'repair'];
const ALL: readonly AuditRecord['kind'][] = [...KINDS, 'intent', 'checkpoint', 'rotation', 'retention'];

export async function run(session: Session, { options }: Invocation<LogOptions>): Promise<void> {
  const filter = filterOf(session, options);
  const path =
    options.file === undefined
      ? (await session.config()).audit.path
      : resolve(session.world.cwd, options.file);
  const { signal } = session.interrupt;
  let damaged: string | undefined;
  const onDamage = (file: string): void => {
    damaged ??= file;
  };
  // Without --all, an intent is shown only while it is open.
  const open =
    options.all === true && options.json !== true ? await openIntents(path, filter, { signal }) : undefined;
  const print = printer(session, options, ({ seq }) => open?.has(seq) ?? true);
  // What is written between the end of the one loop and the beginning of the other is the other's.
  const after = options.follow === true ? newestSeq(path) : undefined;
  await print.head();
  for await (const record of recordsOf(path, { ...filter, toSeq: after }, { onDamage, signal }))
    await print.row(record);
  await print.flush();
  if (damaged !== undefined) {
    session.warn(`skipped lines that are not records: ${damaged}; run secrets audit verify for details`);
  }
  if (after === undefined) return;
  for await (const record of followAuditLog(path, filter, { after, onDamage, signal })) {
    await print.later(record);
  }
}

/**
 * The records that are asked for. A change that was about to be made is among them while its outcome is not recorded, or
 * when all kinds are asked for.
 */
async function* recordsOf(
  path: string,
  filter: AuditFilter,
  options: ReadOptions,
): AsyncGenerator<AuditRecord> {
  const { kinds = [], limit, until, outcomes } = filter;
  if (!isAskedFor(filter) || kinds.includes('intent')) {
    yield* readAuditLog(path, filter, options);
    return;
  }
  const both = { ...filter, kinds: [...kinds, 'intent' as const] };
  if (limit !== undefined && until === undefined && outcomes === undefined) {
    // The outcome of each stands behind it, and is asked for as well: twice as many are enough.
    const records: AuditRecord[] = [];
    for await (const record of readAuditLog(path, { ...both, limit: 2 * limit }, options))
      records.push(record);
    yield* limit === 0 ? [] : withoutAnswered(records).slice(-limit);
    return;
  }
  const open = await openIntents(path, filter, options);
  const shown = { ...both, kinds: open.size === 0 ? kinds : both.kinds };
  const found: AuditRecord[] = [];
  for await (const record of readAuditLog(path, { ...shown, limit: undefined }, options)) {
    if (record.kind === 'intent' && !open.has(record.seq)) continue;
    if (limit === undefined) yield record;
    else if (found.push(record) > 2 * limit) found.splice(0, found.length - limit);
  }
  if (limit !== undefined && limit > 0) yield* found.slice(-limit);
}

/** Whether intents may pass. */
function isAskedFor({ outcomes }: AuditFilter): boolean {
  return outcomes === undefined || outcomes.includes('unknown');
}

interface Printer {
  head(): Promise<void>;
  row(record: AuditRecord): Promise<void>;
  flush(): Promise<void>;
  /** One that comes when the others have been printed: columns can't be aligned any more. */
  later(record: AuditRecord): Promise<void>;
}

function printer(
  session: Session,
  { json, csv }: LogOptions,
  isOpen: (record: AuditRecord) => boolean,
): Printer {
  let text = '';
  const rows: string[][] = [];
  // Columns are as wide as their widest cell: at a terminal many have to be known.
  const atTerminal = session.world.stdout.isTTY === true;
  const flush = async (): Promise<void> => {
    if (text !== '') await session.print(text);
    text = '';
    if (rows.length > 0) await printTable(session, tableHead, rows);
    rows.length = 0;
  };
  return {
    async head() {
      if (csv === true) await session.print(csvHead());
    },
    async row(record) {
      if (json === true) text += `${jsonText(record)}\n`;
      else if (csv === true) text += csvRow(record, isOpen(record));
      else rows.push(tableRow(record, isOpen(record)));
      if (text.length > 64 * 1024 || rows.length >= (atTerminal ? ALIGNED : BATCH)) await flush();
    },
    flush,
    async later(record) {
      if (json !== true && csv !== true && atTerminal)
        await session.print(`${tableRow(record, isOpen(record)).map(singleLine).join('  ')}\n`);
      else {
        await this.row(record);
        await flush();
      }
    },
  };
}

function filterOf(session: Session, options: LogOptions): AuditFilter {
  const { store } = session.options;
  const now = session.world.now();
  if (options.json === true && options.csv === true)
    throw new SecretsError('Usage', '--json and --csv exclude each other');
  const time = (flag: string, text: string | undefined): Date | undefined =>
    text === undefined ? undefined : parseTime(text, now, flag);
  const people = session.world.stdout.isTTY === true && options.json !== true && options.csv !== true;
  return {
    since: time('--since', options.since),
    until: time('--until', options.until),
    secret: options.secret === undefined ? undefined : parseSecret(options.secret),
    actor: options.actor,
    commands: options.command,
    outcomes: options.outcome,
    stores: store === undefined ? undefined : [store],
    kinds: options.all === true ? ALL : isNarrow(options, store) ? ['access'] : KINDS,
    limit:
      options.limit === undefined
        ? people && options.since === undefined
          ? TERMINAL_LIMIT
          : undefined
        : parseLimit(options.limit),
  };
}

/** Asks for something that records about the log itself do not have. */
function isNarrow({ secret, command, outcome, actor }: LogOptions, store: string | undefined): boolean {
  return [secret, command, outcome, actor, store].some((value) => value !== undefined);
}

function parseLimit(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new SecretsError('Usage', `--limit ${JSON.stringify(text)} is not a number`);
}

/** A reference; its store may be left away, and its name may be a pattern. @throws SecretsError Usage */
export function parseSecret(text: string): SecretPattern {
  if (!/[*?]/.test(text)) {
    const { store, name, key } = parseReference(text);
    return { store, name, key };
  }
  const match = /^(?:([^:/#]+):\/\/)?([^#]+)(?:#(.+))?$/s.exec(text);
  if (match === null)
    throw new SecretsError('Usage', `--secret ${JSON.stringify(text)} is neither a reference nor a pattern`);
  return { store: match[1], name: match[2] as string, key: match[3] };
}
