import { parsePeriod } from '../../core/duration.ts';
import { combineErrors, SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool, sleep } from '../../core/waiting.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { compact, failureJson } from '../../output/shapes.ts';
import { startSteps } from '../../output/progress.ts';
import { type Ended, type Job, Rotations } from '../../rotation/jobs.ts';
import { Notifier } from '../../rotation/notify.ts';
import { retireReplaced } from '../../rotation/retire.ts';
import { checkReminder, refuseNativelyRotated, remind, scheduleForJob } from '../../rotation/native.ts';
import { obstacle, preflight, type PreflightFinding } from '../../rotation/preflight.ts';
import type { Schedule } from '../../rotation/schedule.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import { driveNative, reminderFinding, skipsNative } from './native.ts';
import { failureOf, jsonLine, notRecorded, outcomeJson, outcomeText, tellOf } from './outcome.ts';
import { graceful, tellBroken } from './signals.ts';
import type { Invocation } from '../command.ts';

interface RotateOptions extends CommonOptions {
  readonly due?: boolean;
  readonly maxAge?: string;
  readonly generate?: string;
  readonly dryRun?: boolean;
  readonly create?: boolean;
  readonly notify?: readonly string[];
  readonly configure?: boolean;
  readonly wait?: string;
}

/** A list of references is text a person could read; more than this is something else. */
const MAX_LIST_BYTES = 1024 * 1024;

export async function run(session: Session, { args, options }: Invocation<RotateOptions>): Promise<void> {
  const named = await references(session, args);
  const configure = options.configure === true;
  if (configure && (options.due === true || options.maxAge !== undefined || options.generate !== undefined))
    throw new SecretsError('Usage', '--configure rotates nothing, so that nothing is due or generated');
  if (named.length === 0 && options.due !== true && options.maxAge === undefined && !configure)
    throw new SecretsError('Usage', 'nothing to rotate is named', {
      hint: 'name references, or --due for all whose time has come',
    });
  if (options.due === true && named.length > 0)
    throw new SecretsError('Usage', '--due is about all secrets of secrets.yaml: it takes no references');
  const maxAgeMs = options.maxAge === undefined ? undefined : parsePeriod(options.maxAge);
  const rotations = new Rotations(session);
  const notifier = new Notifier(session, options.notify ?? [], () => rotations.policies());
  const stop = graceful(session);
  try {
    const all =
      named.length > 0
        ? named
        : [...(await rotations.policies())]
            .filter(([, { settings }]) => !configure || settings.native !== undefined)
            .map(([reference]) => reference);
    const { parallel, jitterMs, leaseMs } = await rotations.bounds();
    const steps = startSteps(session);
    const limit = pool(parallel);
    const failures: SecretsError[] = [];
    let tried = 0;
    let left = 0;
    // In the order of the queue, so that nobody who may begin waits behind one who may not yet.
    const waits = all.map(() => Math.random() * jitterMs).toSorted((one, other) => one - other);
    const started = performance.now();
    const work = all.map(async (text, index) => {
      // Whoever is slow to be told holds up no rotation.
      const report = await limit(async (): Promise<(() => Promise<void>) | undefined> => {
        if (stop.asked()) {
          left += 1;
          return undefined;
        }
        let reference = text;
        let recorded = options.dryRun === true || configure;
        const startedAt = session.world.now();
        const startedMs = Date.now();
        let begun = false;
        try {
          const job = await rotations.job(text, { generate: options.generate });
          reference = job.reference;
          if ((named.length === 0 || maxAgeMs !== undefined) && !configure) {
            const schedule = await scheduleForJob(
              job,
              maxAgeMs ?? (job.native?.starts === true ? undefined : job.everyMs),
              leaseMs,
              session.world.now(),
              (id) => rotations.seenFor(reference, id),
              () => session.call(),
            );
            if (skipsNative(session, job, schedule)) return undefined;
            if (!(await isDue(session, rotations, job, schedule, options))) return undefined;
            const wait = (waits[index] ?? 0) - (performance.now() - started);
            if (options.due === true && options.dryRun !== true && wait > 0) {
              session.debug(`${reference}: waits for its turn, for ${Math.ceil(wait / 1000)} s`);
              await sleep(Math.min(wait, 2 ** 31 - 1), stop.signal, true);
            }
          }
          return await rotations.within(job, async () => {
            if (stop.asked()) {
              left += 1;
              return undefined;
            }
            begun = true;
            tried += 1;
            const progress = (what: string): void => {
              stop.step();
              steps.show(reference, what);
            };
            if (job.native?.starts === true || configure) {
              const drive = { ...options, notifier, progress, stopping: stop.signal };
              const { failure, ended, report } = await driveNative(session, job, drive);
              if (failure !== undefined) failures.push(failure);
              recorded = true;
              try {
                if (ended !== undefined) await rotations.record(reference, startedMs, ended);
              } catch (thrown) {
                // Its outcome is as it is, and is told.
                failures.push(toSecretsError(thrown).forReference(reference));
              }
              return report;
            }
            if (options.dryRun === true) {
              const failure = await rehearse(session, job, options.create === true);
              if (failure !== undefined) failures.push(failure);
              return undefined;
            }
            recorded = true;
            const done = await rotateOne(session, rotations, job, {
              progress,
              create: options.create === true,
            });
            if (done.failure !== undefined) failures.push(done.failure);
            return () => reportOne(session, notifier, reference, startedAt, done);
          });
        } catch (thrown) {
          let error = toSecretsError(thrown).forReference(reference);
          if (!recorded) error = await recordFailure(rotations, text, startedMs, error);
          failures.push(error);
          if (!begun) tried += 1;
          return async () => {
            const outcome = 'unchanged';
            const notified =
              options.dryRun === true || configure
                ? []
                : await notifier.tell({ reference, intent: 'rotate', startedAt, outcome, failure: error });
            const shown = {
              reference,
              outcome,
              error: failureJson(error),
              ...(notified.length > 0 && { notified }),
            };
            if (options.json === true) await session.print(jsonLine(shown));
          };
        } finally {
          steps.show(reference, undefined);
        }
      });
      await report?.();
    });
    // Whatever ends one, as when nobody reads what it printed: the others' targets stay open until they are done.
    await Promise.allSettled(work);
    await Promise.all(work);
    steps.done();
    if (left > 0)
      throw new SecretsError('Partial', `stopped before ${left} of ${all.length} were looked at`, {
        hint: 'run it again for the rest',
        errors: failures,
      });
    if (failures.length > 0) throw summary(failures, tried);
    if (tried === 0) session.note('nothing is due');
  } finally {
    stop.end();
    await rotations.close();
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

/** References from the command line, and for `-` from stdin: one a line, `#` at its start begins a remark. */
async function references(session: Session, args: readonly string[]): Promise<readonly string[]> {
  if (!args.includes('-')) return [...new Set(args)];
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of session.world.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_LIST_BYTES) throw new SecretsError('Usage', 'the list on stdin is longer than 1 MiB');
    chunks.push(chunk);
  }
  const listed = Buffer.concat(chunks)
    .toString()
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  return [...new Set(args.flatMap((arg) => (arg === '-' ? listed : [arg])))];
}

/** Retires what is over on the way; says whether the secret itself is to be rotated, or a rotation to be finished. */
async function isDue(
  session: Session,
  rotations: Rotations,
  job: Job,
  { state, everyMs }: Schedule,
  { dryRun, due }: RotateOptions,
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

/** What one rotation came to. */
interface Done {
  readonly intent: 'rotate' | 'resume';
  readonly outcome: Awaited<ReturnType<Rotations['run']>>;
  readonly failure: SecretsError | undefined;
}

interface Asked {
  readonly progress: (text: string) => void;
  /** `--create` */
  readonly create: boolean;
}

async function rotateOne(session: Session, rotations: Rotations, job: Job, asked: Asked): Promise<Done> {
  const startedMs = Date.now();
  const record = (ended: Omit<Ended, 'job'>): Promise<void> =>
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
async function reportOne(
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

/** `--dry-run`: what would be done, and whether the store and the target can be reached and allow it. */
export async function rehearse(
  session: Session,
  job: Job,
  create: boolean,
): Promise<SecretsError | undefined> {
  const stages = await job.place.read();
  const known = { current: stages.current, pending: stages.pending, previous: stages.previous };
  const findings: PreflightFinding[] = [
    ...(await preflight({ ...job, create }, known, () => session.call())),
  ];
  if (stages.pending !== undefined)
    findings.push({ check: 'pending', status: 'fail', detail: 'a rotation is under way already' });
  findings.push(...(await reminderFinding(session, job)));
  const { bits, title } = job.generator;
  const what = job.target.issue === undefined ? `${title} (${bits} bits)` : 'made by the target';
  if (session.options.json === true) {
    await session.print(
      jsonLine(
        compact({
          reference: job.reference,
          target: job.type,
          keys: job.keys.length === 0 ? undefined : job.keys,
          generate: job.target.issue === undefined ? title : undefined,
          bits: job.target.issue === undefined ? bits : undefined,
          graceMs: job.graceMs,
          version: stages.current?.id,
          findings: findings.map(({ kind: _ofTheError, ...finding }) => compact({ ...finding })),
          dryRun: true,
        }),
      ),
    );
  } else {
    const keys = job.keys.length === 0 ? 'the whole value' : job.keys.join(', ');
    const lines = [
      `${job.reference}: would rotate ${keys}: ${what}, target ${job.type}`,
      ...findings.map(
        ({ check, status, detail, hint }) =>
          `  ${status} ${check}: ${detail}${hint === undefined ? '' : ` (${hint})`}`,
      ),
    ];
    await session.print(
      lines.map((line) => `${line.startsWith(' ') ? '  ' : ''}${singleLine(line.trim())}\n`).join(''),
    );
  }
  const error = obstacle(findings);
  return (
    error &&
    new SecretsError(error.kind, `would not work: ${error.message}`, {
      reference: job.reference,
      hint: error.hint,
    })
  );
}
