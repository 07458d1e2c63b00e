/** Reads the schedule of one secret from its store. */
import { judge, judgeNative, type Schedule, withReminder } from '../core/rotation/schedule.ts';
import type { SecretPlace } from './place.ts';

/** @param seenFor milliseconds since a pending version was first seen */
export async function scheduleOf(
  place: SecretPlace,
  everyMs: number | undefined,
  leaseMs: number,
  now: Date,
  seenFor: (pendingId: string) => number,
): Promise<Schedule> {
  const [stages, info] = [await place.read(), await place.info()];
  const native = info?.rotation;
  if (native?.role === 'rotates' && native.enabled) return judgeNative(native, undefined, now);
  const { current, pending = await place.strayLock() } = stages;
  const holder = pending && (await place.holderOf(pending.id));
  const own = judge({ current, pending, holder }, info?.labels ?? {}, everyMs, leaseMs, now, seenFor);
  return native === undefined ? own : withReminder(own, native, now);
}
