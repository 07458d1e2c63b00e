/**
 * How far a sink has got. The log itself is the queue; beside it, `NAME-sinks/SINK.json` says which record the sink
 * took last. It is replaced as a whole, so a sender that dies leaves the one before or the one after.
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

/** What is known of a sink. Times are ISO 8601 in UTC. */
export interface Cursor {
  readonly v: 1;
  /** The last record that the receiver took, 0 for none; and its hash. */
  readonly seq: number;
  readonly hash: string;
  /** Where the next record is looked for first: an offset in the file that then was the current one. */
  readonly offset: number;
  /** When the sink was first seen. */
  readonly since: string;
  /** `hold`, in milliseconds: how long retention waits for the sink. */
  readonly holdMs: number;
  /** When the receiver last took something. */
  readonly success?: string | undefined;
  readonly failure?:
    | {
        readonly at: string;
        readonly message: string;
        /** How many times in a row. */
        readonly times: number;
        /** Not before then will a command try again. */
        readonly next: string;
      }
    | undefined;
  /** When the user was last warned of it. */
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

/** A cursor for a sink that was never seen. @param after the last record that it is not to get */
export function newCursor(
  after: { readonly seq: number; readonly hash: string } | undefined,
  hold: string,
  now: Date,
): Cursor {
  const { seq, hash } = after ?? START;
  return { v: 1, seq, hash, offset: 0, since: now.toISOString(), holdMs: parsePeriod(hold) };
}

/**
 * The cursor of a sink; undefined for one that was never seen, or whose file is damaged: then it gets all that is there,
 * twice rather than never.
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

/** @throws SecretsError when it can't be written */
export function writeCursor(logPath: string, sink: string, cursor: Cursor): void {
  const folder = sinksFolder(logPath);
  if (!checkFolder(folder, 'nothing')) makePrivateFolder(folder);
  sweep(folder, (name) => name.endsWith('.json'));
  replacePrivateFile(cursorPath(logPath, sink), Buffer.from(`${JSON.stringify(cursor)}\n`), WHAT);
}

/** What retention has to wait for. */
export interface Waiting {
  readonly sink: string;
  readonly seq: number;
  readonly holdMs: number;
}

/**
 * Every sink that was seen with this log and may still come for its records. One that was not tried for as long as it
 * holds them is taken for removed.
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
