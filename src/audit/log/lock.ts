/**
 * A lock between processes, without a server and without the operating system's locks, which Node does not offer.
 *
 * The lock is a symbolic link whose text says who holds it: made by one system call, whole or not at all. A holder that
 * is dead is buried: whoever manages to make the link `<lock>.<its digest>.1` may remove it, and nobody else; one that
 * died while burying is itself followed by `.2`, and so on. Each holding has a text of its own, so a late-comer who
 * thinks the lock is still the dead one's finds another text in it and leaves it alone: no live lock is ever removed.
 *
 * A holder is known to be dead when this machine (this start of it, this PID namespace) has no such process any more.
 * Of a holder elsewhere (a shared home, another container) nothing can be known: it is taken for dead once its lock has
 * been seen unchanged for `FOREIGN_MS`; so a holder looks, right before it writes, whether it still is one.
 */
import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync, symlinkSync, unlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../platform/files.ts';

/** Seen for so long, a lock of a holder that can't be looked at counts as abandoned. */
const FOREIGN_MS = 5000;
const LONGEST_PAUSE_MS = 20;
/** Nobody waits for longer than this many times the wait for one holder. */
const MOST_WAITS = 6;

/** A lock that is held. */
export interface Lock {
  /** Whether it still is, for a holder that was asleep. */
  isHeld(): boolean;
  release(): void;
}

/** Who holds a lock, for messages. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
}

/**
 * The lock, or who held it to the end of the wait.
 * @param waitMs how long one holder is waited for
 * @throws the system's errors
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
        // What is buried now was made room for; what another one buries takes a moment.
        if (readLink(path) !== text) continue;
      }
      // While it changes hands, others work; it is a question of time.
      if (now - seen.since > waitMs || now - from > MOST_WAITS * waitMs) return parse(text);
    }
    // Random, so that many who wait don't all come back at once.
    const pause = 1 + Math.random() * Math.min(LONGEST_PAUSE_MS, 2 + tries * 2);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Of a clock that nobody sets. Not `performance`, which Node loads ten modules for: each start would. */
function milliseconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

function heldLock(path: string, mine: string): Lock {
  return {
    // No clock is asked: a machine that was suspended, or stopped right after it made the link, would trust its own.
    isHeld: () => readLink(path) === mine,
    release() {
      if (readLink(path) === mine) removeLink(path);
    },
  };
}

/** Removes the lock with this text, if it falls to us to do so. @param late whoever was to do it has had long enough */
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
    // Gone: the burial is over. Alive, or unknown: it is on its way.
    if (digger === undefined) return;
    const state = stateOf(digger);
    if (state === 'alive' || (state === 'unknown' && !late)) return;
  }
}

let ownProcess: string | undefined;
let ownPlace: string | undefined;

/**
 * A text that no other holding of any lock has: random, process id, its start, where it runs, name of the machine. Short:
 * up to 59 bytes, ext4 keeps it in the inode.
 */
function identity(): string {
  ownProcess ??= [process.pid, startOf('self') ?? '', place(), hostname()].join(' ');
  // Tells this process's holdings from each other; nobody has to be kept from guessing it.
  return `${Math.random().toString(36).slice(2, 10)} ${ownProcess}`;
}

/** Names where process ids mean the same: this start of this machine, this PID namespace. */
function place(): string {
  ownPlace ??= `${textOf('/proc/sys/kernel/random/boot_id')?.slice(0, 8) ?? hostname()}.${namespaceId()}`;
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
  // Another user's process, which /proc may hide (`hidepid`, proc(5)): it is there, and not to be looked at.
  if (now === undefined && others) return 'unknown';
  // Without /proc a number that was given to another process since can't be told from the holder's.
  if (now === undefined) return start === '' ? 'unknown' : 'dead';
  return now === start ? 'alive' : 'dead';
}

/** When a process began, in clock ticks since the machine did (proc(5)); undefined for one that has ended. */
function startOf(pid: string): string | undefined {
  const stat = textOf(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything.
  const [state, ...rest] = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined || 'ZXx'.includes(state) ? undefined : rest[18];
}

function textOf(path: string): string | undefined {
  try {
    // Node reads UTF-8 in one step of its own, anything else in many of JavaScript's.
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The number of this PID namespace, `pid:[4026531836]`, in few characters; nothing without /proc. */
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

/** @returns false when there is something of that name */
function makeLink(text: string, path: string): boolean {
  try {
    symlinkSync(text, path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

/** The text of a link; undefined when there is none (any more). @throws SecretsError Policy for what is no link */
function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    if (codeOf(thrown) === 'EINVAL')
      throw new SecretsError('Policy', `what is in the place of its lock is no lock: ${path}`, {
        hint: 'put it away',
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
