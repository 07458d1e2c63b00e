/**
 * Finds processes that a child has started, so that they can be stopped when the child is restarted:
 * proc_pid_stat(5).
 */
import { readdirSync } from 'node:fs';
import { statFields } from '../platform/process-identity.ts';

/** A process, identified by its id and start time, because ids are reused. */
export interface Descendant {
  readonly pid: number;
  readonly started: string;
}

interface Entry extends Descendant {
  readonly parent: number;
  readonly session: string;
}

/**
 * The child's descendants in its session. A process that has started its own session (a daemon) is meant to outlive
 * the child. Empty without /proc.
 */
export function descendants(child: number): readonly Descendant[] {
  const entries = processes();
  const own = entries.find(({ pid }) => pid === child);
  if (own === undefined) return [];
  const found: Entry[] = [own];
  for (const parent of found)
    found.push(...entries.filter((entry) => entry.parent === parent.pid && entry.session === own.session));
  return found.slice(1);
}

/** Sends a signal to those that are still running; 0 only checks. @returns whether any was running */
export function signalAll(found: readonly Descendant[], signal: NodeJS.Signals | 0): boolean {
  let any = false;
  for (const { pid, started } of found) {
    const fields = statFields(pid);
    if (fields === undefined || fields[19] !== started || fields[0] === 'Z') continue;
    try {
      process.kill(pid, signal);
      any = true;
    } catch {
      // It has just ended, or its id belongs to another user's process by now.
    }
  }
  return any;
}

function processes(): readonly Entry[] {
  let names: readonly string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names.flatMap((name): Entry[] => {
    if (!/^\d+$/.test(name)) return [];
    const fields = statFields(Number(name));
    const [, parent, , session] = fields ?? [];
    if (fields === undefined || parent === undefined || session === undefined) return [];
    return [{ pid: Number(name), parent: Number(parent), session, started: fields[19] ?? '' }];
  });
}
