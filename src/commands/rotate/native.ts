/** Rotations by a store's own service, as `rotate` shows them: plan, progress, outcome. */
import { parseDuration, parsePeriod } from '../../core/duration.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { compact, failureJson } from '../../output/shapes.ts';
import type { NativeChange } from '../../providers/capabilities/rotation.ts';
import type { RotationResult, Job } from '../../rotation/jobs.ts';
import { configureNative, type NativeOutcome, resumeNative, rotateNatively } from '../../rotation/native.ts';
import type { Delivery, Notifier } from '../../rotation/notify.ts';
import type { Schedule } from '../../core/rotation/schedule.ts';
import type { TargetFinding } from '../../rotation/target.ts';
import type { Session } from '../../session/session.ts';
import { holderJson, jsonLine, tellEnd } from './outcome.ts';
import { tellBroken } from './signals.ts';

/** A function of AWS has 15 minutes for a step, and Google's earliest notice is five minutes off. */
const DEFAULT_WAIT = '15m';

interface DriveOptions {
  readonly dryRun?: boolean;
  readonly configure?: boolean;
  readonly wait?: string;
  readonly notifier: Notifier;
  /** Aborted by the first signal that asks for the end. */
  readonly stopping: AbortSignal;
  readonly progress: (text: string) => void;
}

/** What it came to. */
interface Driven {
  readonly failure: SecretsError | undefined;
  /** Missing: it has not come to an end, or nothing was rotated. */
  readonly ended?: RotationResult | undefined;
  /** Tells receivers and then the user, since what the receivers said is part of it. */
  readonly report?: () => Promise<void>;
}

/** Sets it and has it rotated, as the options say. */
export async function driveNative(session: Session, job: Job, options: DriveOptions): Promise<Driven> {
  if (job.native === undefined)
    throw new SecretsError('Usage', 'the policy has no native settings, so there is nothing to configure', {
      reference: job.reference,
    });
  const waitMs = waitOf(options);
  if (options.dryRun === true)
    return { failure: await rehearseNative(session, job, options.configure !== true) };
  const call = (): ReturnType<Session['call']> => session.call();
  const { progress, stopping, notifier } = options;
  if (options.configure === true) {
    const outcome = await configureNative(job, call);
    // No rotation: there is nobody to be told.
    return { failure: undefined, report: () => show(session, job.reference, outcome, undefined, []) };
  }
  const startedAt = session.world.now();
  const interrupt = AbortSignal.any([session.interrupt.signal, stopping]);
  const outcome = await rotateNatively(job, { call, waitMs, interrupt, progress });
  return driven(session, job, 'rotate', startedAt, outcome, notifier);
}

function driven(
  session: Session,
  job: Job,
  intent: 'rotate' | 'resume',
  startedAt: Date,
  outcome: NativeOutcome,
  notifier: Notifier,
): Driven {
  const { reference } = job;
  const { ending, by, before, version, attempt, error } = outcome;
  const failure = error?.forReference(reference);
  tellBroken(session, failure);
  const report = async (): Promise<void> => {
    const holder = ending === 'held' ? holderJson({ since: attempt?.since }) : undefined;
    const told = { outcome: ending, by, before, after: version, holder };
    const notified = await notifier.notify({ reference, intent, startedAt, ...told, failure });
    await show(session, reference, outcome, failure, notified, intent === 'resume');
  };
  // That it was begun has a record of its own.
  const ended = ending === 'started' ? undefined : { job, version, error: failure };
  return { failure, report, ended };
}

function waitOf({ wait = DEFAULT_WAIT }: Pick<DriveOptions, 'wait'>): number {
  return /^0+(ms|s|m|h)?$/.test(wait) ? 0 : parseDuration(wait);
}

/** `resume` waits on; `rollback` is nothing that can be done from outside. */
export async function recoverNative(
  session: Session,
  job: Job,
  intent: 'resume' | 'rollback',
  options: DriveOptions,
): Promise<RotationResult> {
  const { reference } = job;
  if (intent === 'rollback')
    throw new SecretsError('Unsupported', 'its service rotates it, and only that knows how far it came', {
      reference,
      hint: `secrets rotate resume ${reference} waits for it; secrets restore --version makes an old value current, which its system may not take any more`,
    });
  if (options.dryRun === true) {
    await rehearseNative(session, job, false);
    return { job };
  }
  const { progress, stopping, notifier } = options;
  const startedAt = session.world.now();
  const outcome = await resumeNative(job, {
    call: () => session.call(),
    waitMs: waitOf(options),
    interrupt: AbortSignal.any([session.interrupt.signal, stopping]),
    progress,
  });
  const { failure, report } = driven(session, job, 'resume', startedAt, outcome, notifier);
  await report?.();
  if (failure !== undefined) throw failure;
  return { job, version: outcome.version };
}

async function show(
  session: Session,
  reference: string,
  outcome: NativeOutcome,
  failure: SecretsError | undefined,
  notified: readonly Delivery[],
  resumed = false,
): Promise<void> {
  const { ending, by, changes, version, startsAt, attempt } = outcome;
  if (session.options.json === true) {
    await session.print(
      jsonLine(
        compact({
          reference,
          outcome: ending,
          version,
          native: compact({
            by,
            changes: changes.map((change) => compact({ ...change })),
            startsAt: startsAt?.toISOString(),
            since: attempt?.since?.toISOString(),
          }),
          error: failure && failureJson(failure),
          notified: notified.length === 0 ? undefined : notified,
        }),
      ),
    );
  } else if (failure === undefined) {
    const text = `${reference}: ${textOf(outcome)}`;
    if (resumed) tellEnd(session, ending, text);
    else session.note(text);
  }
}

function textOf({ ending, by = 'its service', changes, version, startsAt }: NativeOutcome): string {
  const set = changes.length === 0 ? '' : `set ${changesText(changes)}; `;
  switch (ending) {
    case 'done':
      return `${set}rotated by ${by}${version === undefined ? '' : `, version ${version} is current`}`;
    case 'started':
      return `${set}begun by ${by}${startsAt === undefined ? '' : `, which starts at ${startsAt.toISOString().slice(0, 19)}Z`}`;
    case 'configured':
      return `set ${changesText(changes)}`;
    case 'nothing':
      return 'nothing to do';
    default:
      return ending;
  }
}

function changesText(changes: readonly NativeChange[]): string {
  return changes
    .map(({ setting, from, to }) => `${setting} ${from === undefined ? to : `${from} → ${to}`}`)
    .join(', ');
}

/** The plan, from what is there. */
async function rehearseNative(
  session: Session,
  job: Job,
  rotates: boolean,
): Promise<SecretsError | undefined> {
  const { reference, native, place } = job;
  if (native === undefined) throw new TypeError('asked for before');
  const found = await native.rotations.read(place.name, session.call());
  const changes = await native.rotations.plan(place.name, native.wish, session.call());
  const { attempt, by } = found ?? {};
  const findings: TargetFinding[] =
    attempt === undefined
      ? []
      : [
          {
            check: 'pending',
            status: 'fail',
            detail: `a rotation by its service is not complete${attempt.failed === undefined ? '' : `: ${attempt.failed}`}`,
          },
        ];
  if (session.options.json === true)
    await session.print(
      jsonLine(
        compact({
          reference,
          native: compact({ by, changes: changes.map((change) => compact({ ...change })) }),
          rotates,
          findings,
          dryRun: true,
        }),
      ),
    );
  else {
    const set = changes.length === 0 ? 'set nothing anew' : `set ${changesText(changes)}`;
    const then = rotates ? ', and have its service rotate it' : '';
    const lines = [
      `${reference}: would ${set}${then}`,
      ...findings.map(({ check, status, detail }) => `${status} ${check}: ${detail}`),
    ];
    await session.print(lines.map((line, index) => `${index > 0 ? '  ' : ''}${singleLine(line)}\n`).join(''));
  }
  if (!rotates || findings.length === 0) return undefined;
  return new SecretsError('Conflict', `would not work: ${findings.map(({ detail }) => detail).join('; ')}`, {
    reference,
  });
}

/** Of a rotation by us whose service keeps a date for the next one. */
export async function reminderFinding(session: Session, job: Job): Promise<readonly TargetFinding[]> {
  const { native, place } = job;
  if (native === undefined) return [];
  const { everyMs, settings } = native.wish;
  const check = 'reminder';
  try {
    await native.rotations.plan(place.name, native.wish, session.call());
    const found = await native.rotations.read(place.name, session.call());
    const after = settings['after'] === undefined ? everyMs : parsePeriod(settings['after']);
    const has = found?.next === undefined ? 'none yet' : found.next.toISOString().slice(0, 10);
    const days = after === undefined ? 'a date' : `${Math.round((after / 86_400_000) * 10) / 10} days`;
    return [{ check, status: 'ok', detail: `the new version gets a date ${days} on; now: ${has}` }];
  } catch (thrown) {
    const { kind, message, hint } = toSecretsError(thrown);
    return [{ check, status: kind === 'NotFound' ? 'warn' : 'fail', detail: message, hint }];
  }
}

/** For `--due`: a secret that its service rotates, though its policy is for us, is left alone. */
export function skipsNative(session: Session, job: Job, { native }: Schedule): boolean {
  if (job.native !== undefined || native?.role !== 'rotates' || job.target.schedule !== undefined)
    return false;
  session.warn(
    `${job.reference} is rotated by ${native.by}, so it is left alone: say native: in its policy, or secrets rotate cancel`,
  );
  return true;
}
