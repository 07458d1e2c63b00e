/** What a child has started itself, for when the child is replaced: proc_pid_stat(5). */
import { readdirSync } from 'node:fs';
import { statFields } from './signals.ts';

/** A process, told from a later one with its id by when it started. */
export interface Relative {
  readonly pid: number;
  readonly started: string;
}

interface Entry extends Relative {
  readonly parent: number;
  readonly session: string;
}

/**
 * The child's descendants that are in its session: one that has made a session of its own (a daemon) means to outlive
 * it. Empty where there is no /proc.
 */
export function descendants(child: number): readonly Relative[] {
  const entries = processes();
  const own = entries.find(({ pid }) => pid === child);
  if (own === undefined) return [];
  const found: Entry[] = [own];
  for (const parent of found)
    found.push(...entries.filter((entry) => entry.parent === parent.pid && entry.session === own.session));
  return found.slice(1);
}

/** Sends it to those that are still there; 0 only looks. @returns whether there was one */
export function signalAll(relatives: readonly Relative[], signal: NodeJS.Signals | 0): boolean {
  let any = false;
  for (const { pid, started } of relatives) {
    const fields = statFields(pid);
    if (fields === undefined || fields[19] !== started || fields[0] === 'Z') continue;
    try {
      process.kill(pid, signal);
      any = true;
    } catch {
      // It has just ended, or is somebody else's by now.
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
