/**
 * Sends a sink the records that it hasn't received, batch by batch, and saves the cursor after each batch. Delivery
 * is at least once: if a sender dies in between, its last batch is sent again. Only one process at a time sends to a
 * sink.
 */
import { lstatSync } from 'node:fs';
import type { Head } from '../../core/audit/chain.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { checkFolder, makePrivateFolder, removeFile } from '../../platform/files.ts';
import { type Lock, takeLock } from '../log/lock.ts';
import { newestRecord } from '../log/read.ts';
import { type Cursor, cursorPath, newCursor, readCursor, sinksFolder, writeCursor } from './cursor.ts';
import { nextRecords } from './queue.ts';
import { openSender } from './send.ts';
import type { SinkContext } from './sender.ts';
import { DEFAULT_HOLD, type Sink } from './settings.ts';

const BATCH = { records: 250, bytes: 256 * 1024 };
/** After a failure, commands don't retry for this long; the pause doubles with each further failure. */
const FIRST_PAUSE_MS = 5000;
const LONGEST_PAUSE_MS = 3_600_000;
/** The user is warned when a receiver has accepted nothing for this long, and again after the same time. */
const WARN_AFTER_MS = 24 * 3_600_000;
/** No sender keeps the lock this long: an older lock belongs to a process that is gone but can't be checked. */
const ABANDONED_MS = 600_000;
/** A sender stops after about this long, to let others have the lock. */
const LONGEST_HOLD_MS = 60_000;

export interface DeliveryOptions {
  readonly logPath: string;
  readonly sink: Sink;
  readonly context: SinkContext;
  /** Aborts the delivery. */
  readonly signal: AbortSignal;
  /** The time limit of a batch. */
  readonly batchMs: number;
  /** How long to wait for another process that is sending to the sink. */
  readonly waitMs: number;
  /** Retry even before the pause after the last failure is over. */
  readonly eager: boolean;
}

export interface Delivered {
  readonly sink: string;
  /**
   * `done`: the receiver has everything; `later`: the last failure is too recent; `busy`: another process is sending.
   */
  readonly state: 'done' | 'later' | 'busy' | 'failed' | 'stopped';
  readonly sent: number;
  /** Number of the last record that the receiver has; 0 for none. */
  readonly upTo: number;
  /** How many records it hasn't received, as far as is known. */
  readonly backlog: number;
  /** Records that retention removed before they could be sent. */
  readonly missing?: { readonly from: number; readonly to: number } | undefined;
  readonly error?: SecretsError | undefined;
  /** The warning for the user, if the sink has failed for long enough. */
  readonly warn?: string | undefined;
}

/** Notes where the log ends for new sinks: they get the records from then on. */
export function registerSinks(logPath: string, sinks: readonly Sink[], now: Date): void {
  for (const { name, given } of sinks)
    if (readCursor(logPath, name) === undefined)
      writeCursor(logPath, name, newCursor(newestRecord(logPath), given.hold ?? DEFAULT_HOLD, now));
}

/** The cursor; a new one if the sink is new, and one before all records if its file is damaged. */
export function cursorOf(logPath: string, { name, given }: Sink, now: Date): Cursor {
  const found = readCursor(logPath, name);
  const hold = given.hold ?? DEFAULT_HOLD;
  if (found === undefined) return newCursor(newestRecord(logPath), hold, now);
  return found === 'damaged'
    ? newCursor(undefined, hold, now)
    : { ...found, holdMs: newCursor(undefined, hold, now).holdMs };
}

/** How many records a sink hasn't received. */
export function backlogOf(logPath: string, { seq, hash }: Head): number {
  const newest = newestRecord(logPath);
  if (newest === undefined || (newest.seq === seq && newest.hash === hash)) return 0;
  return newest.seq > seq ? newest.seq - seq : newest.seq;
}

/** Sends all pending records. @throws SecretsError only if the log or the sink's state can't be read or written */
export async function deliver(options: DeliveryOptions): Promise<Delivered> {
  const { logPath, sink, context, eager } = options;
  const { now } = context.world;
  const known = cursorOf(logPath, sink, now());
  const result = (state: Delivered['state'], cursor: Cursor, more: Partial<Delivered> = {}): Delivered => ({
    sink: sink.name,
    state,
    sent: 0,
    upTo: cursor.seq,
    backlog: backlogOf(logPath, cursor),
    ...more,
  });
  if (backlogOf(logPath, known) === 0) return result('done', known);
  if (!eager && isTooEarly(known, now())) return result('later', known);
  const lock = await lockFor(options);
  if (lock === undefined) return result('busy', known);
  try {
    return await deliverLocked(options, lock, result);
  } finally {
    lock.release();
  }
}

async function deliverLocked(
  { logPath, sink, context, signal, batchMs }: DeliveryOptions,
  lock: Lock,
  result: (state: Delivered['state'], cursor: Cursor, more?: Partial<Delivered>) => Delivered,
): Promise<Delivered> {
  const { now } = context.world;
  const began = Date.now();
  let cursor = cursorOf(logPath, sink, now());
  let sent = 0;
  let missing: Delivered['missing'];
  const isKnown = readCursor(logPath, sink.name) !== 'damaged';
  try {
    const sender = await within(openSender(sink, context), signal, batchMs, 'its settings were not ready');
    for (;;) {
      const queue = nextRecords(logPath, cursor, cursor.offset, BATCH);
      const last = queue.records.at(-1)?.record;
      if (last === undefined) return result('done', cursor, { sent, missing });
      if (isKnown) missing ??= queue.missing;
      await timed(signal, batchMs, (end, ms) => sender.send(queue.records, end, ms));
      // Another process considered this one dead and continues from the saved cursor.
      if (!lock.isHeld()) return result('busy', cursor, { sent });
      sent += queue.records.length;
      const { failure: _failure, warned: _warned, ...kept } = cursor;
      cursor = {
        ...kept,
        seq: last.seq,
        hash: last.hash,
        offset: queue.offset,
        success: now().toISOString(),
      };
      writeCursor(logPath, sink.name, cursor);
      if (signal.aborted || Date.now() - began > LONGEST_HOLD_MS)
        return result('stopped', cursor, { sent, missing });
    }
  } catch (thrown) {
    const error = toSecretsError(thrown);
    // The sink works; there just wasn't time for everything.
    if (signal.aborted && sent > 0) return result('stopped', cursor, { sent, missing });
    if (!lock.isHeld()) return result('busy', cursor, { sent });
    const at = now();
    const times = (cursor.failure?.times ?? 0) + 1;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 20), LONGEST_PAUSE_MS);
    const warn = warning(cursor, sink.name, error, at);
    writeCursor(logPath, sink.name, {
      ...cursor,
      failure: {
        at: at.toISOString(),
        message: error.message.slice(0, 500),
        times,
        next: new Date(at.getTime() + pause).toISOString(),
      },
      ...(warn !== undefined && { warned: at.toISOString() }),
    });
    return result('failed', cursor, { sent, missing, error, warn });
  }
}

function isTooEarly({ failure }: Cursor, now: Date): boolean {
  const wait = failure === undefined ? 0 : Date.parse(failure.next) - now.getTime();
  // Longer than the longest pause: a clock has been set.
  return wait > 0 && wait <= LONGEST_PAUSE_MS;
}

function warning(cursor: Cursor, name: string, error: SecretsError, now: Date): string | undefined {
  const { success, since, warned } = cursor;
  const silent = now.getTime() - Date.parse(success ?? since);
  const told = warned === undefined ? Number.POSITIVE_INFINITY : now.getTime() - Date.parse(warned);
  if (silent < WARN_AFTER_MS || (told >= 0 && told < WARN_AFTER_MS)) return undefined;
  const hours = Math.floor(silent / 3_600_000);
  return `the audit sink ${name} has taken no record for ${hours} hours: ${error.message}; secrets audit sinks shows more`;
}

async function lockFor({ logPath, sink, waitMs }: DeliveryOptions): Promise<Lock | undefined> {
  const folder = sinksFolder(logPath);
  if (!checkFolder(folder, 'nothing')) makePrivateFolder(folder);
  const path = `${cursorPath(logPath, sink.name)}.lock`;
  const made = lstatSync(path, { throwIfNoEntry: false })?.mtimeMs;
  if (made !== undefined && Date.now() - made > ABANDONED_MS) removeFile(path);
  const lock = await takeLock(path, waitMs);
  return 'release' in lock ? lock : undefined;
}

/** Runs the work with its own signal, which aborts after a time or together with the outer one. */
async function timed<T>(
  outer: AbortSignal,
  ms: number,
  work: (signal: AbortSignal, ms: number) => Promise<T>,
): Promise<T> {
  const end = new AbortController();
  const onAbort = (): void => end.abort();
  outer.addEventListener('abort', onAbort, { once: true });
  if (outer.aborted) end.abort();
  const timer = setTimeout(onAbort, ms);
  try {
    return await within(work(end.signal, ms), end.signal, ms, 'the receiver did not answer in time');
  } finally {
    clearTimeout(timer);
    outer.removeEventListener('abort', onAbort);
    end.abort();
  }
}

/** The result, or a failure if the signal aborts or the time is up first, whatever the work does afterwards. */
function within<T>(work: Promise<T>, signal: AbortSignal, ms: number, late: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      // Give the work's own error for the abort a chance to win, because it says more.
      setImmediate(() => reject(new SecretsError('Unavailable', late)));
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
    };
    work.finally(settle).then(resolve, reject);
  });
}
