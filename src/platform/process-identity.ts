/** Which process is meant, although process ids are reused: proc_pid_stat(5), pid_namespaces(7). */
import { readFileSync, readlinkSync } from 'node:fs';

/** The fields of /proc/PID/stat after the process name, which may contain anything. */
export function statFields(pid: number | 'self'): readonly string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** The id of this PID namespace (pid_namespaces(7)); `0` if the system has none. */
export function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch {
    return '0';
  }
}

/** When a process started, in the kernel's clock ticks, because process ids are reused. `0` without /proc. */
export function startTime(pid: number): string | undefined {
  const fields = statFields(pid);
  if (fields !== undefined || process.platform === 'linux') return fields?.[19];
  try {
    process.kill(pid, 0);
    return '0';
  } catch {
    return undefined;
  }
}
