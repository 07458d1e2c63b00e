/** Sends signals to process groups. */

/** Signals the process group of this leader; a group that has already ended is no error. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: the group has ended.
  }
}
