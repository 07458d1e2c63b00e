/** What `rotate resume` and `rotate rollback` share: going on with a rotation that somebody left. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { Intent } from '../../core/rotation/machine.ts';
import { startSteps } from '../../output/progress.ts';
import { compact } from '../../output/shapes.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { type RotationResult, type Job, Rotations } from '../../rotation/jobs.ts';
import { Notifier } from '../../rotation/notify.ts';
import { keptUntil } from '../../rotation/retire.ts';
import type { Outcome } from '../../rotation/run.ts';
import { scheduleOf } from '../../rotation/schedule.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import {
  failureOf,
  holderJson,
  holderText,
  jsonLine,
  notRecorded,
  outcomeJson,
  outcomeText,
  tellOf,
  tellEnd,
} from './outcome.ts';
import { graceful, tellBroken } from './signals.ts';

export interface RecoverOptions extends CommonOptions {
  readonly takeOver?: boolean;
  readonly toPrevious?: boolean;
  readonly withoutTarget?: boolean;
  readonly dryRun?: boolean;
  readonly notify?: readonly string[];
  readonly wait?: string;
}

export async function recover(
  session: Session,
  text: string,
  intent: Exclude<Intent, 'rotate'>,
  options: RecoverOptions,
): Promise<void> {
  const rotations = new Rotations(session);
  const notifier = new Notifier(session, options.notify ?? [], () => rotations.policies());
  const stop = graceful(session);
  const steps = startSteps(session);
  const startedMs = Date.now();
  let ended: RotationResult = {};
  try {
    const job = await rotations.job(text, { withoutTarget: options.withoutTarget === true });
    ended = { job };
    if (job.native?.starts === true) {
      const { recoverNative } = await import('./native.ts');
      ended = await recoverNative(session, job, intent, {
        ...options,
        notifier,
        stopping: stop.signal,
        progress: (what) => steps.show(job.reference, what),
      });
      return;
    }
    if (options.toPrevious === true) await checkPrevious(session, job);
    if (options.dryRun === true) {
      await rehearse(session, rotations, job, intent, options);
      return;
    }
    const startedAt = session.world.now();
    const asked: Intent = options.toPrevious === true ? 'rotate' : intent;
    const outcome = await rotations.run(job, {
      intent: asked,
      takeOver: options.takeOver === true,
      wait: true,
      toPrevious: options.toPrevious === true,
      progress: (what) => {
        stop.step();
        steps.show(job.reference, what);
      },
    });
    steps.done();
    const failure = failureOf(job.reference, asked, outcome);
    ended = { job, version: outcome.currentVersion, error: failure };
    await report(session, notifier, job.reference, intent, startedAt, outcome, failure, options);
    if (failure !== undefined) throw failure;
  } catch (thrown) {
    ended = { ...ended, error: toSecretsError(thrown) };
    throw thrown;
  } finally {
    steps.done();
    stop.end();
    await rotations.close();
    if (options.dryRun !== true)
      await rotations.record(text, startedMs, ended).catch((thrown: unknown) => {
        throw notRecorded(ended.job?.reference ?? text, ended.error, thrown);
      });
  }
}

/** Tells receivers and then the user, since what the receivers said is part of it. */
async function report(
  session: Session,
  notifier: Notifier,
  reference: string,
  intent: Exclude<Intent, 'rotate'>,
  startedAt: Date,
  outcome: Outcome,
  failure: SecretsError | undefined,
  { toPrevious, json }: RecoverOptions,
): Promise<void> {
  tellBroken(session, failure);
  const told = toPrevious === true ? 'rollback' : intent;
  const notified = await tellOf(notifier, reference, told, startedAt, outcome, failure);
  if (json === true) await session.print(jsonLine(outcomeJson(reference, outcome, failure, notified)));
  else if (toPrevious === true && failure === undefined)
    session.note(`${reference}: the previous value is current again`);
  else if (failure === undefined) tellEnd(session, outcome.ending, outcomeText(reference, intent, outcome));
}

/** @throws SecretsError when there is nothing to go back to, or its grace time is over */
async function checkPrevious(session: Session, job: Job): Promise<void> {
  const { reference, place, target } = job;
  const stages = await place.read();
  if (stages.pending !== undefined)
    throw new SecretsError('Conflict', 'a rotation is under way, and has to be ended first', {
      reference,
      hint: `secrets rotate rollback ${reference} undoes it`,
    });
  if (stages.previous === undefined)
    throw new SecretsError('NotFound', 'has no previous version to go back to', { reference });
  const labels = await place.labels();
  const until = keptUntil(job, labels, stages);
  if (until === undefined || until > session.world.now()) return;
  throw new SecretsError(
    'Conflict',
    `the grace time of the previous value ended at ${until.toISOString().slice(0, 19)}Z`,
    {
      reference,
      hint:
        target.retire === undefined
          ? 'rotate it again, or put the value you want with secrets put after the target has it'
          : 'its target may have forgotten it; rotate again for a new one',
    },
  );
}

async function rehearse(
  session: Session,
  rotations: Rotations,
  { reference, place, everyMs, target }: Job,
  intent: Exclude<Intent, 'rotate'>,
  options: RecoverOptions,
): Promise<void> {
  const { leaseMs } = await rotations.bounds();
  const { state, holder } = await scheduleOf(place, everyMs, leaseMs, session.world.now(), (id) =>
    rotations.seenFor(reference, id),
  );
  const stages = await place.read();
  const { signal } = session.call();
  const ask = async (held: typeof stages.current): Promise<string> =>
    held === undefined ? 'none' : target.verify(held, signal);
  const verdicts = { current: await ask(stages.current), pending: await ask(stages.pending) };
  const under = stages.pending !== undefined;
  const action =
    options.toPrevious === true
      ? 'put the previous value back'
      : !under
        ? 'do nothing: no rotation is under way'
        : intent === 'resume'
          ? `finish the rotation that ${holderText(holder)} began`
          : `undo the rotation that ${holderText(holder)} began`;
  if (options.json === true)
    await session.print(
      jsonLine(
        compact({
          reference,
          state,
          holder: holderJson(holder),
          target: verdicts,
          action,
          dryRun: true,
        }),
      ),
    );
  else
    await session.print(
      `${singleLine(`${reference}: would ${action}; the target has ${verdicts.current} the current value${under ? ` and ${verdicts.pending} the pending one` : ''}`)}\n`,
    );
}
