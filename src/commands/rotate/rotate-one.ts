/** One rotation by us: run, recorded, told. */
import { type SecretsError, toSecretsError } from '../../core/errors.ts';
import { type RotationResult, type Job, type Rotations } from '../../rotation/jobs.ts';
import { checkReminder, refuseNativelyRotated, remind } from '../../rotation/native.ts';
import type { Notifier } from '../../rotation/notify.ts';
import { retireReplaced } from '../../rotation/retire.ts';
import type { Session } from '../../session/session.ts';
import { failureOf, jsonLine, notRecorded, outcomeJson, outcomeText, tellOf } from './outcome.ts';
import { tellBroken } from './signals.ts';

/** What one rotation came to. */
export interface Done {
  readonly intent: 'rotate' | 'resume';
  readonly outcome: Awaited<ReturnType<Rotations['run']>>;
  readonly failure: SecretsError | undefined;
}

interface Asked {
  readonly progress: (text: string) => void;
  /** `--create` */
  readonly create: boolean;
}

export async function rotateOne(
  session: Session,
  rotations: Rotations,
  job: Job,
  asked: Asked,
): Promise<Done> {
  const startedMs = Date.now();
  const record = (ended: Omit<RotationResult, 'job'>): Promise<void> =>
    rotations.record(job.reference, startedMs, { job, ...ended });
  let done: Done;
  try {
    done = await rotateRecorded(session, rotations, job, asked);
  } catch (thrown) {
    const error = toSecretsError(thrown);
    await record({ error }).catch((failure: unknown) => {
      throw notRecorded(job.reference, error, failure);
    });
    throw thrown;
  }
  const { outcome, failure } = done;
  try {
    await record({ version: outcome.currentVersion, error: failure });
    return done;
  } catch (thrown) {
    return { ...done, failure: notRecorded(job.reference, failure, thrown) };
  }
}

async function rotateRecorded(session: Session, rotations: Rotations, job: Job, asked: Asked): Promise<Done> {
  const { reference } = job;
  await refuseNativelyRotated(job);
  await checkReminder(job, () => session.call());
  // A further rotation takes the place of the replaced credential.
  const makeWay = () => retireReplaced(job, session.world.now(), session.call().signal, true);
  const shared = { wait: false, toPrevious: false, makeWay, ...asked };
  let intent: 'rotate' | 'resume' = 'rotate';
  let outcome = await rotations.run(job, { intent, takeOver: false, ...shared });
  if (outcome.ending === 'held' && job.hasPolicy) {
    // Somebody's who died: finishing it is the rotation that was asked for. Its lease is checked there.
    const resumed = await rotations.run(job, { intent: 'resume', takeOver: false, ...shared });
    if (resumed.ending !== 'nothing' && resumed.ending !== 'held') [intent, outcome] = ['resume', resumed];
  }
  const failure =
    failureOf(reference, intent, outcome) ??
    (outcome.ending === 'done' ? await remind(job, () => session.call()) : undefined);
  tellBroken(session, failure);
  return { intent, outcome, failure };
}

/** Tells receivers and then the user, since what the receivers said is part of it. */
export async function reportOne(
  session: Session,
  notifier: Notifier,
  reference: string,
  startedAt: Date,
  { intent, outcome, failure }: Done,
): Promise<void> {
  const notified = await tellOf(notifier, reference, intent, startedAt, outcome, failure);
  if (session.options.json === true)
    await session.print(jsonLine(outcomeJson(reference, outcome, failure, notified)));
  else if (failure === undefined) session.note(outcomeText(reference, intent, outcome));
}
