/** Retires replaced credentials after their grace period. */
import { decodeTime, encodeTime, LAST_ROTATED_LABEL, RETIRE_LABEL } from '../core/rotation/holder.ts';
import type { Job } from './jobs.ts';
import type { Stages } from './place.ts';
import { CLOCKS_DIFFER_MS, isFuture } from '../core/rotation/schedule.ts';

/** When the replaced credential can no longer be put back; `undefined` if there is no limit. */
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
 * Retires the replaced credential if its grace period is over. In a store without labels nobody knows whether that
 * already happened, so it is repeated.
 * @param anyway even during the grace period, because another rotation is about to start and needs the slot
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
    // By the store's clock, the replacement may be later than by the clock of the machine that made it.
    const written = isFuture(current.createdAt, now) ? undefined : current.createdAt?.getTime();
    if (written !== undefined && written + job.graceMs > now.getTime()) return false;
  }
  await job.target.retire(previous, current, 'expired', signal);
  await job.place.setLabels({ [RETIRE_LABEL]: null });
  return true;
}

/**
 * Whether the clock of the machine that replaced a credential was slow: by that clock, the replacement came before the
 * credential was written. The real time is unknown then, so the grace period starts again.
 */
function isBehind(due: Date, graceMs: number, written: Date | undefined, now: Date): boolean {
  if (written === undefined || isFuture(written, now)) return false;
  return due.getTime() - graceMs < written.getTime() - CLOCKS_DIFFER_MS;
}
