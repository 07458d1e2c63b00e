/** Ends the life of replaced credentials whose grace time is over. */
import { decodeTime, encodeTime, LAST_ROTATED_LABEL, RETIRE_LABEL } from '../core/rotation/holder.ts';
import type { Job } from './jobs.ts';
import type { Stages } from './place.ts';
import { CLOCKS_DIFFER_MS, isFuture } from '../core/rotation/schedule.ts';

/** Until when the replaced credential can be put back; `undefined` when nothing limits that. */
export function keptUntil(
  job: Job,
  labels: Readonly<Record<string, string>>,
  stages: Stages,
): Date | undefined {
  const rotated = decodeTime(labels[LAST_ROTATED_LABEL]) ?? stages.current?.createdAt;
  if (!job.hasGrace && job.target.retire === undefined) return undefined;
  return decodeTime(labels[RETIRE_LABEL]) ?? new Date((rotated?.getTime() ?? 0) + job.graceMs);
}

/**
 * Retires the replaced credential if its time is over. Where the store has no labels nobody knows whether that was
 * done already, and it is done again.
 * @param anyway also before its time: another rotation is about to begin, and needs its place
 * @returns whether something was retired
 */
export async function retireReplaced(
  job: Job,
  now: Date,
  signal: AbortSignal,
  anyway = false,
): Promise<boolean> {
  if (job.target.retire === undefined) return false;
  const labels = await job.place.labels();
  const due = decodeTime(labels[RETIRE_LABEL]);
  if (due === undefined && job.place.hasLabels()) return false;
  const stages = await job.place.read();
  const { current, previous, pending } = stages;
  if (current === undefined || previous === undefined || pending !== undefined) return false;
  if (!anyway) {
    if (due !== undefined && isBehind(due, job.graceMs, previous.createdAt, now)) {
      await job.place.setLabels({ [RETIRE_LABEL]: encodeTime(new Date(now.getTime() + job.graceMs)) });
      return false;
    }
    const until = keptUntil(job, labels, stages);
    if (until !== undefined && until > now) return false;
    // By the store's clock it may have been replaced later than by the clock of the machine that did it.
    const written = isFuture(current.createdAt, now) ? undefined : current.createdAt?.getTime();
    if (written !== undefined && written + job.graceMs > now.getTime()) return false;
  }
  await job.target.retire(previous, current, 'expired', signal);
  await job.place.setLabels({ [RETIRE_LABEL]: null });
  return true;
}

/**
 * Whether the clock was behind by which a credential was replaced: by it, that was before the credential was written. When
 * it was, nobody knows; its grace time begins anew.
 */
function isBehind(due: Date, graceMs: number, written: Date | undefined, now: Date): boolean {
  if (written === undefined || isFuture(written, now)) return false;
  return due.getTime() - graceMs < written.getTime() - CLOCKS_DIFFER_MS;
}
