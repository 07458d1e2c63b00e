/**
 * How far a sink has got. The log itself is the queue; beside it, `NAME-sinks/SINK.json` names the last record that
 * the sink accepted. The file is replaced atomically, so a sender that dies leaves either the old state or the new
 * one.
 */
import { basename, dirname, join } from 'node:path';
import { START } from '../../core/audit/chain.ts';
import { parsePeriod } from '../../core/duration.ts';
import { isJsonObject } from '../../core/json.ts';
import {
  checkFolder,
  entriesOf,
  makePrivateFolder,
  readPrivateFile,
  replacePrivateFile,
} from '../../platform/files.ts';
import { sweep } from '../log/files.ts';

/** The state of a sink. Times are ISO 8601 in UTC. */
export interface Cursor {
  readonly v: 1;
  /** The last record that the receiver accepted, 0 for none; and its hash. */
  readonly seq: number;
  readonly hash: string;
  /** Where to look for the next record first: an offset in the file that was current at the time. */
  readonly offset: number;
  /** When the sink was first seen. */
  readonly since: string;
  /** `hold`, in milliseconds: how long retention waits for the sink. */
  readonly holdMs: number;
  /** When the receiver last accepted something. */
  readonly success?: string | undefined;
  readonly failure?:
    | {
        readonly at: string;
        readonly message: string;
        /** Consecutive failures. */
        readonly times: number;
        /** Commands don't retry before this time. */
        readonly next: string;
      }
    | undefined;
  /** When the user was last warned about the sink. */
  readonly warned?: string | undefined;
}

const WHAT = 'the state of an audit sink';
const SUFFIX = '.json';

export function sinksFolder(logPath: string): string {
  return join(dirname(logPath), `${basename(logPath).replace(/\.jsonl$/, '')}-sinks`);
}

export function cursorPath(logPath: string, sink: string): string {
  return join(sinksFolder(logPath), `${sink}${SUFFIX}`);
}

/** A cursor for a sink that is new. @param after the last record that it must not receive */
export function newCursor(
  after: { readonly seq: number; readonly hash: string } | undefined,
  hold: string,
  now: Date,
): Cursor {
  const { seq, hash } = after ?? START;
  return { v: 1, seq, hash, offset: 0, since: now.toISOString(), holdMs: parsePeriod(hold) };
}

/**
 * The cursor of a sink; undefined if the sink is new. If the file is damaged, the sink gets everything that is left
 * of the log: twice rather than never.
 * @throws SecretsError Denied when others can write there
 */
export function readCursor(logPath: string, sink: string): Cursor | 'damaged' | undefined {
  if (!checkFolder(sinksFolder(logPath), 'nothing')) return undefined;
  const bytes = readPrivateFile(cursorPath(logPath, sink), WHAT, true);
  if (bytes === undefined) return undefined;
  try {
    const cursor: unknown = JSON.parse(bytes.toString('utf8'));
    if (!isJsonObject(cursor)) return 'damaged';
    const { v, seq, hash, offset, since, holdMs } = cursor;
    const counts = [seq, offset, holdMs].every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
    const whole = v === 1 && counts && typeof since === 'string' && /^[0-9a-f]{64}$/.test(String(hash));
    return whole ? (cursor as unknown as Cursor) : 'damaged';
  } catch {
    return 'damaged';
  }
}

/** @throws SecretsError if it can't be written */
export function writeCursor(logPath: string, sink: string, cursor: Cursor): void {
  const folder = sinksFolder(logPath);
  if (!checkFolder(folder, 'nothing')) makePrivateFolder(folder);
  sweep(folder, (name) => name.endsWith('.json'));
  replacePrivateFile(cursorPath(logPath, sink), Buffer.from(`${JSON.stringify(cursor)}\n`), WHAT);
}

/** A sink that retention has to wait for. */
export interface Waiting {
  readonly sink: string;
  readonly seq: number;
  readonly holdMs: number;
}

/**
 * Every sink that has been used with this log and may still need its records. A sink that hasn't been tried for as
 * long as its `hold` counts as removed.
 */
export function waitingSinks(logPath: string, now: Date): readonly Waiting[] {
  return entriesOf(sinksFolder(logPath))
    .filter((entry) => entry.endsWith(SUFFIX))
    .flatMap((entry): Waiting[] => {
      const sink = entry.slice(0, -SUFFIX.length);
      const cursor = readCursor(logPath, sink);
      if (typeof cursor !== 'object') return [];
      const { seq, holdMs, since, success, failure } = cursor;
      const seen = Math.max(...[since, success, failure?.at].map((at) => Date.parse(at ?? '') || 0));
      return now.getTime() - seen > holdMs ? [] : [{ sink, seq, holdMs }];
    });
}
