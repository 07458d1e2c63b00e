/**
 * A lock between processes, without a server and without the operating system's locks, which Node doesn't offer.
 *
 * The lock is a symbolic link whose text identifies its holder: creating one is a single atomic system call. A lock
 * left by a dead holder is removed only by the process that manages to create the link `<lock>.<digest of its
 * text>.1`. If that process dies before it is done, the next one creates `.2`, and so on. Each acquisition has its
 * own text, so a process that still believes that the dead holder has the lock finds a different text and leaves the
 * lock alone: a live lock is never removed.
 *
 * A holder is known to be dead if this machine (this boot, this PID namespace) has no such process any more. Nothing
 * can be known about a holder elsewhere (a shared home, another container): it counts as dead once its lock has been
 * seen unchanged for `FOREIGN_MS`. That is why a holder checks that it still has the lock right before it writes.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { SecretsError } from '../../core/errors.ts';
import { hostName } from '../../platform/machine.ts';
import { codeOf } from '../../platform/files.ts';

/** A lock of a holder that can't be checked counts as abandoned after it has been seen for this long. */
const FOREIGN_MS = 5000;
const LONGEST_PAUSE_MS = 20;
/** The total wait, as a multiple of the wait for one holder. */
const MOST_WAITS = 6;

export interface Lock {
  /** Whether it is still held: the process may have been suspended. */
  isHeld(): boolean;
  release(): void;
}

export interface Holder {
  readonly pid: number;
  readonly host: string;
}

/**
 * Acquires the lock, or returns its holder if the wait was in vain.
 * @param waitMs how long to wait for one holder
 * @throws system errors
 */
export async function takeLock(path: string, waitMs: number): Promise<Lock | Holder> {
  const mine = identity();
  const from = milliseconds();
  let seen: { readonly text: string; readonly since: number } | undefined;
  for (let tries = 0; ; tries += 1) {
    if (makeLink(mine, path)) return heldLock(path, mine);
    const text = readLink(path);
    const now = milliseconds();
    if (text !== undefined) {
      if (seen?.text !== text) seen = { text, since: now };
      const state = stateOf(text);
      if (state === 'dead' || (state === 'unknown' && now - seen.since > FOREIGN_MS)) {
        bury(path, text, mine, now - seen.since > 1.5 * FOREIGN_MS);
        // If this process removed the stale lock, try again at once; if another one is removing it, wait a moment.
        if (readLink(path) !== text) continue;
      }
      // As long as the lock changes hands, other writers make progress and our turn will come.
      if (now - seen.since > waitMs || now - from > MOST_WAITS * waitMs) return parse(text);
    }
    // Random, so that many waiting processes don't all retry at the same time.
    const pause = 1 + Math.random() * Math.min(LONGEST_PAUSE_MS, 2 + tries * 2);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** From a monotonic clock. Not `performance`, because Node would load ten modules for it on every start. */
function milliseconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function heldLock(path: string, mine: string): Lock {
  return {
    // No clock is involved: a machine that was suspended, or stopped right after it made the link, would trust its own.
    isHeld: () => readLink(path) === mine,
    release() {
      if (readLink(path) === mine) removeLink(path);
    },
  };
}

/**
 * Removes a stale lock with this text if that is our turn. @param late the process whose turn it was has had enough
 * time
 */
function bury(path: string, text: string, mine: string, late: boolean): void {
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  for (let level = 1; ; level += 1) {
    const grave = `${path}.${digest}.${level}`;
    if (makeLink(mine, grave)) {
      if (readLink(path) === text) removeLink(path);
      for (let below = level; below > 0; below -= 1) removeLink(`${path}.${digest}.${below}`);
      return;
    }
    const digger = readLink(grave);
    // Missing: the stale lock has been removed. Alive or unknown: that process is still at it.
    if (digger === undefined) return;
    const state = stateOf(digger);
    if (state === 'alive' || (state === 'unknown' && !late)) return;
  }
}

let ownProcess: string | undefined;
let ownPlace: string | undefined;

/**
 * A text that is unique to each acquisition of any lock: random part, process id, its start time, where it runs, host
 * name. Kept short: ext4 stores up to 59 bytes in the inode.
 */
function identity(): string {
  ownProcess ??= [process.pid, startOf('self') ?? '', place(), hostName()].join(' ');
  // Distinguishes the acquisitions of this process. It doesn't have to be unguessable.
  return `${Math.random().toString(36).slice(2, 10)} ${ownProcess}`;
}

/** Identifies where process ids are comparable: this boot of this machine, this PID namespace. */
function place(): string {
  ownPlace ??= `${textOf('/proc/sys/kernel/random/boot_id')?.slice(0, 8) ?? hostName()}.${namespaceId()}`;
  return ownPlace;
}

function parse(text: string): Holder {
  const [, pid = '', , , host = ''] = text.split(' ');
  return { pid: Number(pid), host };
}

function stateOf(text: string): 'alive' | 'dead' | 'unknown' {
  const [, pid = '', start = '', where = ''] = text.split(' ');
  if (!/^\d+$/.test(pid) || where !== place()) return 'unknown';
  let others = false;
  try {
    process.kill(Number(pid), 0);
  } catch (thrown) {
    if (codeOf(thrown) === 'ESRCH') return 'dead';
    others = true;
  }
  const now = startOf(pid);
  // Another user's process, which /proc may hide (`hidepid`, proc(5)): it exists but can't be inspected.
  if (now === undefined && others) return 'unknown';
  // Without /proc, a process id that has been reused can't be told from the holder's.
  if (now === undefined) return start === '' ? 'unknown' : 'dead';
  return now === start ? 'alive' : 'dead';
}

/** When a process started, in clock ticks since boot (proc(5)); undefined if it has ended. */
function startOf(pid: string): string | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  // The process name in parentheses may contain anything.
  const [state, ...rest] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined || 'ZXx'.includes(state) ? undefined : rest[18];
}

function textOf(path: string): string | undefined {
  try {
    // Node reads UTF-8 in a single native call; other encodings take many steps in JavaScript.
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The id of this PID namespace, `pid:[4026531836]`, in base 36; empty without /proc. */
function namespaceId(): string {
  const id = Number(readLinkOrNone('/proc/self/ns/pid')?.slice(5, -1));
  return Number.isSafeInteger(id) ? id.toString(36) : '';
}

function readLinkOrNone(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** @returns false if the path already exists */
function makeLink(text: string, path: string): boolean {
  try {
    symlinkSync(text, path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

/** The text of a link; undefined if it doesn't exist (any more). @throws SecretsError Policy if it isn't a link */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    if (codeOf(thrown) === 'EINVAL')
      throw new SecretsError('Policy', `the lock is not a symbolic link: ${path}`, {
        hint: 'move it away',
        cause: thrown,
      });
    throw thrown;
  }
}

function removeLink(path: string): void {
  try {
    unlinkSync(path);
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT') throw thrown;
  }
}
