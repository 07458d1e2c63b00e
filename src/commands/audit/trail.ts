import { resolve } from 'node:path';
import { openIntents } from '../../audit/log/open-intents.ts';
import { readAuditLog } from '../../audit/log/read.ts';
import { csvLine } from '../../audit/log/rows.ts';
import { countsOf, timeline, type TimelineCounts, type TimelineEntry } from '../../core/audit/timeline.ts';
import type { AuditAction, AuditEvent, AuditRecord } from '../../core/audit/record.ts';
import { parseDuration } from '../../core/duration.ts';
import { SecretsError } from '../../core/errors.ts';
import { isStoreName } from '../../core/reference/reference.ts';
import type { Target } from '../../session/resolver.ts';
import { printTable } from '../../output/table.ts';
import type { Provider } from '../../providers/provider.ts';
import { linesIn, linesOfFile } from '../../providers/trail-lines.ts';
import type { Session } from '../../session/session.ts';
import { checkPeriod, parseTime } from '../../core/period.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';
import { naming, storeTitle } from '../with-secret.ts';

interface TrailOptions extends CommonOptions {
  readonly since?: string;
  readonly until?: string;
  readonly from?: string;
  readonly log?: readonly string[];
  readonly action?: readonly AuditAction[];
  readonly outside?: boolean;
  readonly failOnOutside?: boolean;
  readonly window?: string;
  readonly csv?: boolean;
}

const DEFAULT_SINCE = '1d';
const DEFAULT_WINDOW = '2s';
/** Accesses of one period that are compared in memory, of the trail and of the logs each: some hundred megabytes. */
const MOST = 200_000;
/** Longest access of ours whose calls lie in the period while it ended after it. */
const LONGEST_ACCESS_MS = 3_600_000;
/** What a person looks at. */
const TERMINAL_LIMIT = 200;

/** What is asked for: one secret, or a store. */
interface Subject {
  readonly text: string;
  readonly store: string;
  readonly name: string | undefined;
  readonly native: Target['native'];
}

export async function run(session: Session, { args, options }: Invocation<TrailOptions>): Promise<void> {
  if (options.json === true && options.csv === true)
    throw new SecretsError('Usage', '--json and --csv exclude each other');
  const now = session.world.now();
  const since = parseTime(options.since ?? DEFAULT_SINCE, now, '--since');
  const until = options.until === undefined ? now : parseTime(options.until, now, '--until');
  checkPeriod({ since, until });
  const windowMs = parseDuration(options.window ?? DEFAULT_WINDOW);
  const subject = await subjectOf(session, args[0] as string);
  const { provider: kind } = await session.storeConfig(subject.store);
  const period = { since, until, windowMs };
  // Before the trail: what our log gets meanwhile is not in the period.
  const own = await ownRecords(session, kind, options.log ?? [], period);
  const trail = await trailOf(session, subject, options.from, period).catch((thrown: unknown) => {
    throw naming(thrown, subject.text);
  });
  const compared = timeline(trail, own, { ...period, store: subject.store, secret: subject.name });
  const wanted = compared.filter(
    ({ event, through }) =>
      (options.action === undefined || options.action.includes(event.action)) &&
      (options.outside !== true || through !== 'yes'),
  );
  const counts = countsOf(wanted);
  if (options.json === true)
    await session.printJson({
      store: subject.store,
      provider: kind,
      ...(subject.name !== undefined && { secret: subject.name }),
      since: since.toISOString(),
      until: until.toISOString(),
      windowMs,
      trail: trail !== undefined,
      counts,
      accesses: wanted.map(entryJson),
    });
  else if (options.csv === true) await session.print(csvOf(wanted));
  else await show(session, wanted, subject.name === undefined);
  if (trail !== undefined && options.json !== true) session.note(summary(counts));
  const outside = counts.outside + counts.client;
  if (options.failOnOutside === true && outside > 0)
    throw new SecretsError(
      'Policy',
      `${outside} accesses did not come through secrets, as far as the log knows`,
      {
        reference: subject.text,
        hint: 'use --outside to list them, and --log to compare with the logs of other machines',
      },
    );
}

/** @throws SecretsError Usage for a reference to a part of a secret, or an unknown store */
async function subjectOf(session: Session, text: string): Promise<Subject> {
  const config = await session.config();
  const whole =
    /^(.*):\/\/$/s.exec(text)?.[1] ?? (isStoreName(text) && config.stores.has(text) ? text : undefined);
  if (whole !== undefined) {
    await session.storeConfig(whole);
    return { text: `${whole}://`, store: whole, name: undefined, native: undefined };
  }
  const target = await session.target(text);
  const { name, key, version, stage } = target.reference;
  if (key !== undefined || version !== undefined || stage !== undefined)
    throw new SecretsError('Usage', 'a trail is of a whole secret', {
      reference: target.text,
      hint: 'omit #key, ?version= and ?stage=',
    });
  return { text: target.text, store: target.store, name, native: target.native };
}

interface Period {
  readonly since: Date;
  readonly until: Date;
  readonly windowMs: number;
}

/** Accesses of our logs to stores of this kind, in the period and about its ends. */
async function ownRecords(
  session: Session,
  kind: string,
  more: readonly string[],
  { since, until, windowMs }: Period,
): Promise<readonly AuditRecord[]> {
  const { path } = (await session.config()).audit;
  const paths = [path, ...more.map((file) => resolve(session.world.cwd, file))];
  const records: AuditRecord[] = [];
  let damaged: string | undefined;
  for (const file of new Set(paths)) {
    let any = false;
    const filter = {
      since: new Date(since.getTime() - windowMs),
      until: new Date(until.getTime() + windowMs + LONGEST_ACCESS_MS),
    };
    const onDamage = (where: string): void => {
      damaged ??= where;
    };
    for await (const record of readAuditLog(file, filter, { onDamage, signal: session.interrupt.signal })) {
      any = true;
      if (record.provider !== kind) continue;
      records.push(record);
      if (records.length > MOST) throw tooMany('of the audit log');
    }
    // A change that was made, and whose outcome could not be recorded, came through us as well.
    for (const record of (await openIntents(file, filter, { signal: session.interrupt.signal })).values())
      if (record.provider === kind && records.push(record) > MOST) throw tooMany('of the audit log');
    if (!any) session.warn(`the audit log has no access in this period: ${file}`);
  }
  if (damaged !== undefined)
    session.warn(`skipped lines that are not records: ${damaged}; run secrets audit verify for details`);
  return records;
}

/** The trail; `undefined` where the provider reads none. */
async function trailOf(
  session: Session,
  { store, name, native }: Subject,
  from: string | undefined,
  { since, until }: Period,
): Promise<readonly AuditEvent[] | undefined> {
  const provider: Provider = await session.open(store, native);
  if (provider.trail === undefined) {
    if (from !== undefined)
      throw new SecretsError('Unsupported', `${await storeTitle(session, store)} has no trail to read`);
    session.warn(`${await storeTitle(session, store)} has no trail to read; showing only our own log`);
    return undefined;
  }
  const call = session.call();
  const lines = from === undefined ? undefined : linesFrom(session, from, call.signal);
  const events: AuditEvent[] = [];
  for await (const event of provider.trail({ name, since, until, lines }, call)) {
    events.push(event);
    if (events.length > MOST) throw tooMany('of the trail');
  }
  return events;
}

function linesFrom({ world }: Session, from: string, signal: AbortSignal): AsyncIterable<string> {
  if (from !== '-') return linesOfFile(resolve(world.cwd, from), false);
  if (world.stdin.isTTY === true)
    throw new SecretsError('Usage', 'stdin is a terminal', { hint: 'pipe the trail in' });
  return linesOfPipe(world.stdin, signal);
}

/** A pipe that nothing comes from would keep the command from ending. */
async function* linesOfPipe(stdin: Session['world']['stdin'], signal: AbortSignal): AsyncGenerator<string> {
  const stop = (): void => void stdin.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    yield* linesIn(stdin);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    throw new SecretsError('Unavailable', 'the trail on stdin did not end in time', {
      hint: 'raise --timeout',
      cause: thrown,
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function tooMany(what: string): SecretsError {
  return new SecretsError('Usage', `more than ${MOST} accesses ${what} are in this period`, {
    hint: 'ask for a shorter one with --since and --until, or for one secret',
  });
}

function entryJson({ event, through, by, own, inTrail }: TimelineEntry): object {
  return {
    ...eventJson(event),
    through,
    ...(by !== undefined && { by }),
    inTrail: inTrail ?? null,
    ...(own !== undefined && { own: ownJson(own) }),
  };
}

/** The event alone: of our own, not what chains the record. */
function eventJson(event: AuditEvent): object {
  const { time, origin, action, outcome, error, actor, store, provider, secret, version, stage, keys } =
    event;
  const { address, client, reason, durationMs, requestId, command, host, pid } = event;
  return {
    ...{ time, origin, action, outcome, error, actor, store, provider, secret, version, stage, keys },
    ...{ address, client, reason, durationMs, requestId, command, host, pid },
  };
}

/** What our record adds to the trail's. */
function ownJson(own: AuditEvent): object {
  const { time, action, store, secret, command, actor, host, pid, keys, reason, durationMs } = own;
  const { seq } = own as Partial<AuditRecord>;
  return { seq, time, action, store, secret, keys, command, actor, host, pid, reason, durationMs };
}

/** Whether it came through secrets, for people. */
function throughText({ through, own, inTrail }: TimelineEntry): string {
  if (through === 'no') return 'NO';
  if (through === 'client') return 'not in the log; its client says so';
  const command = own?.command === undefined ? '' : `: ${own.command}`;
  return `yes${command}${inTrail === false ? ', not in the trail' : ''}`;
}

function whoOf({ event, own }: TimelineEntry): string {
  const { user, uid } = own?.actor ?? event.actor;
  const principal = event.actor.principal ?? own?.actor.principal;
  return [user ?? uid, principal].filter((part) => part !== undefined).join(' as ');
}

function fromOf({ event, own }: TimelineEntry): string {
  return [event.address, own?.host, own === undefined ? event.client : undefined]
    .filter((part) => part !== undefined)
    .join(' ');
}

async function show(session: Session, entries: readonly TimelineEntry[], all: boolean): Promise<void> {
  const isCut = session.world.stdout.isTTY === true && entries.length > TERMINAL_LIMIT;
  const shown = isCut ? entries.slice(-TERMINAL_LIMIT) : entries;
  if (shown.length > 0) {
    const head = [
      'TIME',
      'ACTION',
      'OUTCOME',
      ...(all ? ['SECRET'] : []),
      'VERSION',
      'WHO',
      'FROM',
      'THROUGH SECRETS',
    ];
    const rows = shown.map((entry) => {
      const { time, action, outcome, error, secret, version } = entry.event;
      return [
        time.replace('T', ' '),
        action,
        error === undefined || error === 'Denied' ? outcome : `${outcome} (${error})`,
        ...(all ? [secret ?? ''] : []),
        version ?? '',
        whoOf(entry),
        fromOf(entry),
        throughText(entry),
      ];
    });
    await printTable(session, head, rows);
  }
  if (isCut)
    session.note(
      `${entries.length - shown.length} earlier ones are not shown; use a shorter period, --csv or --json`,
    );
}

function summary({ accesses, through, client, outside, notInTrail }: TimelineCounts): string {
  return [
    `${accesses} accesses: ${through} through secrets`,
    ...(notInTrail > 0
      ? [`of which ${notInTrail} are not in the trail (it may be late, or not record them)`]
      : []),
    ...(client > 0 ? [`${client} whose client says so, and that the log does not have`] : []),
    `${outside} not through secrets`,
  ].join(', ');
}

const COLUMNS: Readonly<Record<string, (entry: TimelineEntry) => unknown>> = {
  time: ({ event }) => event.time,
  action: ({ event }) => event.action,
  outcome: ({ event }) => event.outcome,
  error: ({ event }) => event.error,
  store: ({ event }) => event.store,
  secret: ({ event }) => event.secret,
  version: ({ event }) => event.version,
  principal: ({ event, own }) => event.actor.principal ?? own?.actor.principal,
  address: ({ event }) => event.address,
  client: ({ event }) => event.client,
  through: ({ through }) => through,
  by: ({ by }) => by,
  inTrail: ({ inTrail }) => inTrail,
  command: ({ own }) => own?.command,
  user: ({ own }) => own?.actor.user,
  host: ({ own }) => own?.host,
  reason: ({ own }) => own?.reason,
  requestId: ({ event }) => event.requestId,
};

function csvOf(entries: readonly TimelineEntry[]): string {
  const rows = entries.map((entry) => csvLine(Object.values(COLUMNS).map((column) => column(entry))));
  return csvLine(Object.keys(COLUMNS)) + rows.join('');
}
