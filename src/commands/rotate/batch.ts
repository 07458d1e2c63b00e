/** The secrets of one `rotate`, several at a time: each is opened, judged by its schedule, rotated and reported. */
import { combineErrors, SecretsError, toSecretsError } from '../../core/errors.ts';
import { byReference } from '../../core/order.ts';
import { storeOf } from '../with-secret.ts';
import { pools, sleep } from '../../core/waiting.ts';
import { failureJson } from '../../output/shapes.ts';
import { startSteps, type StepProgress } from '../../output/progress.ts';
import type { Job, Rotations } from '../../rotation/jobs.ts';
import type { Notifier } from '../../rotation/notify.ts';
import { retireReplaced } from '../../rotation/retire.ts';
import { scheduleForJob } from '../../rotation/native.ts';
import type { Schedule } from '../../core/rotation/schedule.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import { driveNative, skipsNative } from './native.ts';
import { jsonLine, notRecorded } from './outcome.ts';
import { rehearse } from './rehearse.ts';
import { reportOne, rotateOne } from './rotate-one.ts';
import type { Stopping } from './signals.ts';

export interface BatchOptions extends CommonOptions {
  readonly due?: boolean;
  readonly generate?: string;
  readonly dryRun?: boolean;
  readonly create?: boolean;
  readonly configure?: boolean;
  readonly wait?: string;
}

interface Wanted {
  readonly session: Session;
  readonly rotations: Rotations;
  readonly notifier: Notifier;
  readonly stop: Stopping;
  readonly options: BatchOptions;
  /** Secrets whose time has not come are left alone. */
  readonly onlyDue: boolean;
  /** `--max-age`, which overrules the policies. */
  readonly maxAgeMs: number | undefined;
}

/** One secret in its turn. */
interface Turn {
  readonly text: string;
  /** As messages call it, once that is known. */
  reference: string;
  readonly startedAt: Date;
  readonly startedMs: number;
  begun: boolean;
  /** Whether its outcome is in the log, or belongs in none. */
  recorded: boolean;
}

/** Tells receivers and the user; runs after the turn, so that whoever is slow to be told holds up no rotation. */
type Report = () => Promise<void>;

export class Batch {
  readonly #wanted: Wanted;
  readonly #steps: StepProgress;
  readonly #failures: SecretsError[] = [];
  #tried = 0;
  /** Not looked at, because the end was asked for. */
  #left = 0;

  constructor(wanted: Wanted) {
    this.#wanted = wanted;
    this.#steps = startSteps(wanted.session);
  }

  /** @throws SecretsError of the rotation that failed, Partial for one of several */
  async run(all: readonly string[]): Promise<void> {
    const { session, rotations } = this.#wanted;
    const { parallel, jitterMs } = await rotations.bounds();
    const stores = await Promise.all(all.map((text) => storeOf(session, text)));
    const limit = pools(parallel);
    // In the order of the queue, so that nobody who may begin waits behind one who may not yet.
    const waits = all.map(() => Math.random() * jitterMs).toSorted((one, other) => one - other);
    const started = performance.now();
    const work = all.map(async (text, index) => {
      const report = await limit(stores[index] as string, () =>
        this.#turn(text, started + (waits[index] ?? 0)),
      );
      await report?.();
    });
    // Whatever ends one, as when nobody reads what it printed: the others' targets stay open until they are done.
    await Promise.allSettled(work);
    await Promise.all(work);
    this.#steps.done();
    this.#end(all.length);
  }

  #end(asked: number): void {
    const failures = this.#failures.toSorted(byReference);
    if (this.#left > 0)
      throw new SecretsError('Partial', `stopped before ${this.#left} of ${asked} were checked`, {
        hint: 'run the command again for the rest',
        errors: failures,
      });
    if (failures.length > 0) throw summary(failures, this.#tried);
    if (this.#tried === 0) this.#wanted.session.note('nothing is due');
  }

  /** @param notBefore on the clock of `performance.now`, for what is due */
  async #turn(text: string, notBefore: number): Promise<Report | undefined> {
    const { session, rotations, options, onlyDue } = this.#wanted;
    if (this.#isLeft()) return undefined;
    const turn: Turn = {
      text,
      reference: text,
      startedAt: session.world.now(),
      startedMs: Date.now(),
      begun: false,
      recorded: this.#rotatesNothing(),
    };
    try {
      const job = await rotations.job(text, { generate: options.generate });
      turn.reference = job.reference;
      if (onlyDue && !(await this.#comesUp(job, notBefore))) return undefined;
      return await rotations.within(job, () => this.#begin(job, turn));
    } catch (thrown) {
      return await this.#fail(turn, thrown);
    } finally {
      this.#steps.show(turn.reference, undefined);
    }
  }

  #isLeft(): boolean {
    const asked = this.#wanted.stop.asked();
    if (asked) this.#left += 1;
    return asked;
  }

  #rotatesNothing(): boolean {
    const { dryRun, configure } = this.#wanted.options;
    return dryRun === true || configure === true;
  }

  /** Whether it is due; if so, after its wait. */
  async #comesUp(job: Job, notBefore: number): Promise<boolean> {
    const { session, rotations, stop, options, maxAgeMs } = this.#wanted;
    const { leaseMs } = await rotations.bounds();
    const schedule = await scheduleForJob(
      job,
      maxAgeMs ?? (job.native?.starts === true ? undefined : job.everyMs),
      leaseMs,
      session.world.now(),
      (id) => rotations.seenFor(job.reference, id),
      () => session.call(),
    );
    if (skipsNative(session, job, schedule)) return false;
    if (!(await isDue(session, rotations, job, schedule, options))) return false;
    const wait = notBefore - performance.now();
    if (options.due === true && options.dryRun !== true && wait > 0) {
      session.debug(`${job.reference}: waits for its turn, for ${Math.ceil(wait / 1000)} s`);
      await sleep(Math.min(wait, 2 ** 31 - 1), stop.signal, true);
    }
    return true;
  }

  async #begin(job: Job, turn: Turn): Promise<Report | undefined> {
    if (this.#isLeft()) return undefined;
    const { session, rotations, notifier, stop, options } = this.#wanted;
    turn.begun = true;
    this.#tried += 1;
    const progress = (what: string): void => {
      stop.step();
      this.#steps.show(turn.reference, what);
    };
    if (job.native?.starts === true || options.configure === true)
      return this.#beginNative(job, turn, progress);
    const create = options.create === true;
    if (options.dryRun === true) {
      this.#note(await rehearse(session, job, create));
      return undefined;
    }
    turn.recorded = true;
    const done = await rotateOne(session, rotations, job, { progress, create });
    this.#note(done.failure);
    return () => reportOne(session, notifier, turn.reference, turn.startedAt, done);
  }

  async #beginNative(job: Job, turn: Turn, progress: (what: string) => void): Promise<Report | undefined> {
    const { session, rotations, notifier, stop, options } = this.#wanted;
    const drive = { ...options, notifier, progress, stopping: stop.signal };
    const { failure, ended, report } = await driveNative(session, job, drive);
    this.#note(failure);
    turn.recorded = true;
    try {
      if (ended !== undefined) await rotations.record(turn.reference, turn.startedMs, ended);
    } catch (thrown) {
      // Its outcome is as it is, and is told.
      this.#note(toSecretsError(thrown).forReference(turn.reference));
    }
    return report;
  }

  #note(failure: SecretsError | undefined): void {
    if (failure !== undefined) this.#failures.push(failure);
  }

  async #fail(
    { text, reference, startedAt, startedMs, begun, recorded }: Turn,
    thrown: unknown,
  ): Promise<Report> {
    const { session, rotations, notifier, options } = this.#wanted;
    let error = toSecretsError(thrown).forReference(reference);
    if (!recorded) error = await recordFailure(rotations, text, startedMs, error);
    this.#note(error);
    if (!begun) this.#tried += 1;
    return async () => {
      const outcome = 'unchanged';
      const notified = this.#rotatesNothing()
        ? []
        : await notifier.notify({ reference, intent: 'rotate', startedAt, outcome, failure: error });
      const shown = {
        reference,
        outcome,
        error: failureJson(error),
        ...(notified.length > 0 && { notified }),
      };
      if (options.json === true) await session.print(jsonLine(shown));
    };
  }
}

/** @returns the failure of a rotation that did not come to its steps, or that this can't be recorded. Never rejects */
async function recordFailure(
  rotations: Rotations,
  text: string,
  startedMs: number,
  error: SecretsError,
): Promise<SecretsError> {
  try {
    await rotations.record(text, startedMs, { error });
    return error;
  } catch (thrown) {
    const { message, hint } = notRecorded(error.reference ?? text, error, thrown);
    const { kind } = toSecretsError(thrown);
    return new SecretsError(kind, message, { reference: error.reference, hint, cause: thrown });
  }
}

function summary(failures: readonly SecretsError[], tried: number): SecretsError {
  if (tried === 1) return combineErrors(failures, 'the rotation failed, and that is not recorded');
  return new SecretsError('Partial', `${failures.length} of ${tried} rotations failed`, { errors: failures });
}

/** Retires what is over on the way; says whether the secret itself is to be rotated, or a rotation to be finished. */
async function isDue(
  session: Session,
  rotations: Rotations,
  job: Job,
  { state, everyMs }: Schedule,
  { dryRun, due }: BatchOptions,
): Promise<boolean> {
  // What its service is at goes on without us.
  if (job.native?.starts === true) return state === 'overdue' || state === 'never' || state === 'stuck';
  if (
    dryRun !== true &&
    due === true &&
    (await rotations.within(job, () => retireReplaced(job, session.world.now(), session.call().signal)))
  )
    session.note(`${job.reference}: the replaced credential is retired`);
  // Without `every` it is the service's date, or the target's own change, that makes it due.
  const dated = job.native !== undefined || job.target.schedule !== undefined;
  if (everyMs === undefined) return dated && state === 'overdue';
  return state === 'overdue' || state === 'never' || state === 'stuck' || state === 'rotating';
}
