/**
 * Rotations that a store's own service performs: configured by the policy, started, and watched until they end. Nothing
 * here creates a value, and only the adapter knows the service (`NativeRotations` in
 * src/providers/capabilities/rotation.ts).
 */
import { randomUUID } from 'node:crypto';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { sleep } from '../core/waiting.ts';
import type { CallOptions } from '../providers/call.ts';
import type { NativeAttempt, NativeRotation } from '../core/rotation/native.ts';
import type {
  NativeChange,
  NativeProgress,
  NativeRotations,
  NativeStart,
} from '../providers/capabilities/rotation.ts';
import type { Job } from './jobs.ts';
import type { NativeJob } from './native-job.ts';
import { judgeNative, type Schedule } from '../core/rotation/schedule.ts';
import { scheduleOf } from './schedule.ts';

/** Pauses between two polls of a rotation in progress. */
const FIRST_LOOK_MS = 500;
const LONGEST_PAUSE_MS = 5000;

/**
 * When a secret is due and whether a rotation is in progress. The source is the service if it rotates the secret
 * itself, the target if it changes the credential on its own schedule, otherwise the store's labels and dates.
 */
export async function scheduleForJob(
  job: Job,
  everyMs: number | undefined,
  leaseMs: number,
  now: Date,
  seenFor: (pendingId: string) => number,
  call: () => CallOptions,
): Promise<Schedule> {
  const { native, place, target } = job;
  if (native?.starts === true)
    return judgeNative(await native.rotations.read(place.name, call()), everyMs, now);
  const own = await scheduleOf(place, everyMs, leaseMs, now, seenFor);
  if (target.schedule === undefined) return own;
  const { behind, ...theirs } = await target.schedule(await place.read(), call().signal);
  const due = behind && (own.state === 'ok' || own.state === 'unscheduled');
  return { ...own, native: theirs, ...(due && { state: 'overdue' as const }) };
}

/** A secret that its service rotates must not be rotated by `secrets` as well. @throws SecretsError Conflict */
export async function refuseNativelyRotated(job: Job): Promise<void> {
  const rotation = (await job.place.info())?.rotation;
  if (rotation?.role !== 'rotates' || !rotation.enabled) return;
  throw new SecretsError('Conflict', `is rotated by ${rotation.by}; a second rotation would undo the first`, {
    reference: job.reference,
    hint: `add native: to its policy to use that one, or end it with secrets rotate cancel ${job.reference}`,
  });
}

/** `started`: the rotation has begun, but its end wasn't seen. */
export interface NativeOutcome {
  readonly ending: 'done' | 'started' | 'configured' | 'failed' | 'held' | 'unchanged' | 'nothing';
  readonly by: string | undefined;
  readonly changes: readonly NativeChange[];
  /** The current versions before and now, as far as they are known. */
  readonly before?: string | undefined;
  readonly version?: string | undefined;
  readonly startsAt?: Date | undefined;
  readonly attempt?: NativeAttempt | undefined;
  readonly error?: SecretsError | undefined;
}

export interface WaitOptions {
  readonly call: () => CallOptions;
  /** How long to wait for the end; 0 for not at all. */
  readonly waitMs: number;
  /** Aborted to end the command. The wait stops immediately, because the service continues anyway. */
  readonly interrupt: AbortSignal;
  readonly progress: (text: string) => void;
}

/**
 * Applies the policy's configuration, starts a rotation and waits for its end. Errors are part of the outcome, not
 * rejections.
 */
export async function rotateNatively(job: Job, options: WaitOptions): Promise<NativeOutcome> {
  const { rotations, wish } = needed(job);
  const { name } = job.place;
  let changes: readonly NativeChange[] = [];
  let by: string | undefined;
  try {
    changes = await rotations.plan(name, wish, options.call());
    options.progress('starting');
    const start = await begin(rotations)(name, wish, randomUUID(), options.call());
    const set = await rotations.read(name, options.call()).catch(() => undefined);
    by = set?.by;
    return await watchNative(job, start, { by, changes }, options);
  } catch (thrown) {
    const error = toSecretsError(thrown);
    if (error.kind !== 'Conflict') return { ending: 'unchanged', by, changes, error };
    // Tell the caller why the rotation in progress takes so long.
    const held = await rotations.read(name, options.call()).catch(() => undefined);
    return {
      ending: 'held',
      by: held?.by,
      changes: [],
      attempt: held?.attempt,
      error: explained(error, held),
    };
  }
}

function explained(error: SecretsError, held: NativeRotation | undefined): SecretsError {
  const { since, failed } = held?.attempt ?? {};
  const words = [
    ...(since === undefined ? [] : [`since ${since.toISOString().slice(0, 19)}Z`]),
    ...(failed === undefined ? [] : [failed]),
  ];
  if (words.length === 0) return error;
  return new SecretsError(error.kind, `${error.message}: ${words.join(': ')}`, {
    hint: error.hint,
    cause: error.cause,
  });
}

/** Continues to wait for a rotation in progress; `nothing` if there is none. */
export async function resumeNative(job: Job, options: WaitOptions): Promise<NativeOutcome> {
  const { rotations } = needed(job);
  const found = await rotations.read(job.place.name, options.call());
  const known = { by: found?.by, changes: [] };
  const { attempt } = found ?? {};
  if (attempt === undefined) return { ending: 'nothing', ...known };
  const at = attempt.since ?? found?.lastRotated ?? new Date(0);
  return watchNative(job, { version: attempt.version, at }, known, options);
}

async function watchNative(
  job: Job,
  start: NativeStart,
  known: Pick<NativeOutcome, 'by' | 'changes'>,
  { call, waitMs, interrupt, progress }: WaitOptions,
): Promise<NativeOutcome> {
  const { rotations } = needed(job);
  const begun = { ...known, before: start.before, startsAt: start.startsAt };
  if (waitMs === 0 || rotations.watch === undefined) return { ending: 'started', ...begun };
  const end = performance.now() + waitMs;
  let last: NativeProgress | undefined;
  let trouble: SecretsError | undefined;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS)) {
    await sleep(Math.min(pause, Math.max(end - performance.now(), 0)), interrupt, true);
    if (interrupt.aborted) break;
    try {
      last = await rotations.watch(job.place.name, start, call());
      trouble = undefined;
    } catch (thrown) {
      // The rotation continues whether or not it can be observed, so temporary errors are waited out.
      trouble = toSecretsError(thrown);
      if (trouble.kind !== 'Unavailable' && trouble.kind !== 'Throttled')
        return { ending: 'started', ...begun, error: unseen(trouble) };
    }
    if (last?.state === 'done') return { ending: 'done', ...begun, version: last.version };
    if (last?.state === 'failed') {
      const error = new SecretsError('Failed', last.detail, { hint: last.hint });
      return { ending: 'failed', ...begun, error };
    }
    if (last !== undefined) progress(last.detail);
    if (performance.now() >= end) break;
  }
  if (trouble !== undefined) return { ending: 'started', ...begun, error: unseen(trouble) };
  const said = last === undefined ? '' : `: ${last.detail}`;
  const over = performance.now() >= end;
  const why = over ? `not done after ${seconds(waitMs)}` : 'not waited for any longer';
  const more = last?.hint === undefined ? '' : `; ${last.hint}`;
  const error = new SecretsError('Unavailable', `begun, and ${why}${said}`, {
    hint: `it continues by itself; wait for it again with secrets rotate resume ${job.reference}${more}`,
  });
  return { ending: 'started', ...begun, error };
}

function unseen(error: SecretsError): SecretsError {
  return new SecretsError(error.kind, `started, but its progress can’t be read: ${error.message}`, {
    hint: error.hint,
    cause: error.cause,
  });
}

function seconds(ms: number): string {
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${Math.round(ms / 100) / 10} s`;
}

/** Applies the policy's configuration without starting a rotation. */
export async function configureNative(job: Job, call: () => CallOptions): Promise<NativeOutcome> {
  const { rotations, wish } = needed(job);
  const { name } = job.place;
  const changes = await rotations.plan(name, wish, call());
  if (changes.length > 0) await rotations.set(name, wish, call());
  const by = (await rotations.read(name, call()).catch(() => undefined))?.by;
  return { ending: changes.length > 0 ? 'configured' : 'nothing', by, changes };
}

/**
 * Checks before a rotation by `secrets` that the service's date can be set after it. @throws SecretsError Usage, Denied
 */
export async function checkReminder({ native, place }: Job, call: () => CallOptions): Promise<void> {
  try {
    await native?.rotations.plan(place.name, native.wish, call());
  } catch (thrown) {
    // The first value hasn't been written yet.
    if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
  }
}

/** Sets the service's date for the new version after a rotation by `secrets`. @returns the error, if it failed */
export async function remind(job: Job, call: () => CallOptions): Promise<SecretsError | undefined> {
  const { native, place, reference } = job;
  if (native === undefined) return undefined;
  try {
    await native.rotations.set(place.name, native.wish, call());
    return undefined;
  } catch (thrown) {
    const { kind, message } = toSecretsError(thrown);
    return new SecretsError(kind, `rotated, but the date of the next rotation is not set: ${message}`, {
      reference,
      hint: `secrets rotate --configure ${reference} sets it`,
      cause: thrown,
    });
  }
}

function needed({ native }: Job): NativeJob {
  if (native === undefined) throw new TypeError('asked for before');
  return native;
}

function begin(rotations: NativeRotations): NonNullable<NativeRotations['start']> {
  if (rotations.start === undefined) throw new TypeError('asked for before');
  return rotations.start.bind(rotations);
}
