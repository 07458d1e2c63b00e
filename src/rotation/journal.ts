/**
 * The local journal: one JSON line before and after each step of a rotation, mode 0600, in the XDG state folder. It
 * informs people and the audit log; nothing is ever resumed from it, because other machines don't have it.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makePrivateFolder } from '../platform/files.ts';
import type { JournalEvent } from './run.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
/** How much of the journal's end `status` reads: some thousand steps. */
const LAST_BYTES = 1024 * 1024;

/** @param trouble called once when the journal can't be written */
export function journalIn(
  stateFolder: string,
  trouble: (thrown: unknown) => void,
): (reference: string, rotation: string, event: JournalEvent) => void {
  const folder = join(stateFolder, 'rotation');
  let broken = false;
  return (reference, rotation, event) => {
    if (broken) return;
    try {
      makePrivateFolder(folder);
      const file = openSync(join(folder, 'journal.jsonl'), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600);
      try {
        // A single write, because other processes append to the same file.
        writeSync(file, `${JSON.stringify({ ...event, reference, rotation })}\n`);
      } finally {
        closeSync(file);
      }
    } catch (thrown) {
      broken = true;
      trouble(thrown);
    }
  };
}

/** Why a rotation started on this machine didn't end with a new value. */
export interface LastFailure {
  readonly at: Date;
  /** Never a value. */
  readonly reason: string;
  /** The rotation's id. */
  readonly rotation: string;
  /** The next step, if it isn't the usual one. */
  readonly todo?: string | undefined;
}

/** The secrets whose last rotation from this machine failed, by reference. Empty if the journal can't be read. */
export function lastFailures(stateFolder: string): ReadonlyMap<string, LastFailure> {
  const reasons = new Map<unknown, string>();
  const found = new Map<string, LastFailure>();
  for (const { reference, rotation, step, outcome, reason, at, todo } of events(stateFolder)) {
    if (typeof reason === 'string') reasons.set(rotation, reason);
    const last = typeof reference === 'string' ? found.get(reference) : undefined;
    if (step === 'advise' && typeof todo === 'string' && last !== undefined && last.rotation === rotation)
      found.set(String(reference), { ...last, todo });
    if (step !== 'end' || typeof reference !== 'string' || outcome === 'held' || outcome === 'nothing')
      continue;
    const why = reasons.get(rotation);
    const date = new Date(String(at));
    if (outcome === 'done' || why === undefined || Number.isNaN(date.getTime())) found.delete(reference);
    else found.set(reference, { at: date, reason: why, rotation: String(rotation) });
  }
  return found;
}

function* events(stateFolder: string): IterableIterator<Record<string, unknown>> {
  for (const line of tail(join(stateFolder, 'rotation', 'journal.jsonl')).split('\n')) {
    try {
      const event: unknown = JSON.parse(line);
      if (typeof event === 'object' && event !== null) yield event as Record<string, unknown>;
    } catch {
      // Cut off, or not written by us.
    }
  }
}

function tail(path: string): string {
  let file: number;
  try {
    file = openSync(path, O_RDONLY | O_NOFOLLOW);
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, LAST_BYTES));
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, size - bytes.length));
  } catch {
    return '';
  } finally {
    closeSync(file);
  }
}
