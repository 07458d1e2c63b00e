import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { byReference } from '../../core/order.ts';
import { pools } from '../../core/waiting.ts';
import { compact } from '../../output/shapes.ts';
import { printTable, shortDate } from '../../output/table.ts';
import { EVERY_LABEL, HOLDER_LABEL } from '../../core/rotation/holder.ts';
import { Rotations } from '../../rotation/jobs.ts';
import { type LastFailure, lastFailures } from '../../rotation/journal.ts';
import { placeOf } from '../../rotation/places.ts';
import { scheduleForJob } from '../../rotation/native.ts';
import { byUrgency, isFuture, judgeNative, type Schedule } from '../../core/rotation/schedule.ts';
import { scheduleOf } from '../../rotation/schedule.ts';
import { targets } from '../../rotation/targets/index.ts';
import type { PolicySettings } from '../../config/rotation.ts';
import type { NativeRotation } from '../../core/rotation/native.ts';
import { formatReference } from '../../core/reference/reference.ts';
import type { Session } from '../../session/session.ts';
import { parsePeriod } from '../../core/duration.ts';
import { projectStores } from '../../session/project-stores.ts';
import { xdgFolder } from '../../platform/world.ts';
import { adviceFor, failureSince } from './advice.ts';
import { holderJson, holderText } from './outcome.ts';

const PARALLEL = 8;
const DAY_MS = 86_400_000;

interface Row {
  readonly reference: string;
  readonly schedule: Schedule;
  readonly age: number | undefined;
}

export async function run(session: Session): Promise<void> {
  const rotations = new Rotations(session);
  try {
    const { rows, failures } = await collect(session, rotations);
    const sorted = rows.toSorted((a, b) => byUrgency(a.schedule, b.schedule));
    const failed = lastFailures(xdgFolder(session.world, 'state'));
    const failureOf = ({ reference, schedule }: Row): LastFailure | undefined =>
      failureSince(failed.get(reference), schedule);
    if (session.options.json === true)
      await session.printJson({ secrets: sorted.map((row) => rowJson(row, failureOf(row))) });
    else
      await printTable(
        session,
        ['reference', 'state', 'age', 'every', 'next', 'by', 'held by', 'to do'],
        sorted.map((row) => {
          const { reference, schedule, age } = row;
          return [
            reference,
            schedule.state,
            ageText(schedule, age),
            schedule.everyMs === undefined
              ? (schedule.native?.settings['schedule'] ?? '')
              : days(schedule.everyMs),
            shortDate(schedule.next),
            schedule.native?.by ?? 'secrets',
            heldText(schedule),
            adviceFor(reference, schedule, failureOf(row)) ?? '',
          ];
        }),
      );
    if (failures.length > 0)
      throw new SecretsError('Partial', `${failures.length} could not be checked`, { errors: failures });
  } finally {
    await rotations.close();
  }
}

function ageText({ lastRotated }: Schedule, age: number | undefined): string {
  if (age !== undefined) return days(age);
  return lastRotated === undefined ? '' : 'in the future';
}

function heldText({ holder, native }: Schedule): string {
  const failed = native?.attempt?.failed;
  if (failed !== undefined) return failed;
  if (holder === undefined) return '';
  return native?.attempt === undefined ? holderText(holder) : native.by;
}

function nativeJson({
  role,
  enabled,
  settings,
  everyMs,
  lastRotated,
  next,
  attempt,
}: NativeRotation): object {
  return compact({
    role,
    enabled,
    settings: Object.keys(settings).length === 0 ? undefined : settings,
    everySeconds: everyMs === undefined ? undefined : everyMs / 1000,
    lastRotated: lastRotated?.toISOString(),
    next: next?.toISOString(),
    pending: attempt?.version,
    since: attempt?.since?.toISOString(),
    failed: attempt?.failed,
  });
}

function rowJson({ reference, schedule, age }: Row, failure: LastFailure | undefined): object {
  const { state, lastRotated, everyMs, next, holder, retireAt, native } = schedule;
  return compact({
    reference,
    state,
    ageSeconds: age === undefined ? undefined : Math.floor(age / 1000),
    lastRotated: lastRotated?.toISOString(),
    everySeconds: everyMs === undefined ? undefined : everyMs / 1000,
    next: next?.toISOString(),
    holder: holderJson(holder),
    previousUntil: retireAt?.toISOString(),
    todo: adviceFor(reference, schedule, failure),
    lastFailure: failure && { at: failure.at.toISOString(), reason: failure.reason },
    by: native?.by ?? 'secrets',
    native: native === undefined ? undefined : nativeJson(native),
  });
}

function days(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)}d`;
  return ms >= 7_200_000 ? `${Math.floor(ms / 3_600_000)}h` : `${Math.floor(ms / 60_000)}m`;
}

/** Secrets with a policy, and in the project's stores those that carry a label of rotations, or that their service rotates. */
async function collect(
  session: Session,
  rotations: Rotations,
): Promise<{ rows: readonly Row[]; failures: readonly SecretsError[] }> {
  const policies = await rotations.policies();
  const { leaseMs } = await rotations.bounds();
  const now = session.world.now();
  const asked = new Map<string, PolicySettings | undefined>();
  const rows: Row[] = [];
  const failures: SecretsError[] = [];
  const add = (reference: string, schedule: Schedule): void =>
    void rows.push(rowOf(session, reference, schedule, now));
  for (const [reference, { settings, untrusted }] of policies) {
    // What is not trusted opens no target and asks nobody but the store.
    const { every, native, target, lock } = settings;
    asked.set(reference, untrusted === undefined ? { every, native, target, lock } : { every });
  }
  const stores = await projectStores(session);
  // A store that hangs takes neither the calls of another one nor its time.
  const limit = pools(PARALLEL);
  const lookAt = async (store: string, reference: string): Promise<void> => {
    const policy = asked.get(reference);
    try {
      const work = () => look(session, rotations, reference, policy, leaseMs, now);
      add(reference, await limit(store, work));
    } catch (thrown) {
      failures.push(toSecretsError(thrown).forReference(reference));
    }
  };
  const ofPolicies = [...policies.keys()].map(async (reference) =>
    lookAt((await session.target(reference, false)).store, reference),
  );
  const ofLabels: Promise<void>[] = [];
  await Promise.all(
    [...stores].map(async (store) => {
      try {
        const provider = await session.open(store);
        const { capabilities } = provider;
        const labelled = capabilities.has('labels') && capabilities.has('stages');
        if (!labelled && !capabilities.has('native-rotation')) return;
        for await (const info of provider.list({ details: true }, session.call())) {
          const { name, labels = {}, rotation } = info;
          const reference = referenceOf(store, name);
          if (asked.has(reference)) continue;
          if (labelled && (Object.hasOwn(labels, EVERY_LABEL) || Object.hasOwn(labels, HOLDER_LABEL))) {
            asked.set(reference, undefined);
            ofLabels.push(lookAt(store, reference));
          }
          // The list says it all: no further call.
          else if (rotation?.enabled === true) add(reference, judgeNative(rotation, undefined, now));
        }
      } catch (thrown) {
        failures.push(toSecretsError(thrown).forReference(`${store}://`));
      }
    }),
  );
  await Promise.all([...ofPolicies, ...ofLabels]);
  return { rows: rows.toSorted(byReference), failures: failures.toSorted(byReference) };
}

function referenceOf(store: string, name: string): string {
  return formatReference({ store, name, version: undefined, stage: undefined, key: undefined });
}

function rowOf(session: Session, reference: string, schedule: Schedule, now: Date): Row {
  const { lastRotated } = schedule;
  const age =
    lastRotated === undefined || isFuture(lastRotated, now)
      ? undefined
      : Math.max(0, now.getTime() - lastRotated.getTime());
  if (schedule.future === true && lastRotated !== undefined)
    session.warn(
      `${reference}: the date of its last rotation is in the future (${lastRotated.toISOString().slice(0, 19)}Z): a clock was wrong, so it counts as due`,
    );
  return { reference, schedule, age };
}

async function look(
  session: Session,
  rotations: Rotations,
  reference: string,
  policy: PolicySettings | undefined,
  leaseMs: number,
  now: Date,
): Promise<Schedule> {
  const every = policy?.every;
  const everyMs = every === undefined ? undefined : parsePeriod(every);
  const seenFor = (id: string): number => rotations.seenFor(reference, id);
  const kind = targets.find(({ type }) => type === policy?.target?.['type']);
  if (policy?.native !== undefined || kind?.hasSchedule === true) {
    const job = await rotations.job(reference);
    const maxAgeMs = job.native?.starts === true ? undefined : everyMs;
    return scheduleForJob(job, maxAgeMs, leaseMs, now, seenFor, () => session.call());
  }
  const target = await session.target(reference);
  const provider = await session.open(target.store, target.native);
  const place = await placeOf(
    session,
    provider,
    { text: reference, name: target.reference.name },
    policy?.lock,
  );
  return scheduleOf(place, everyMs, leaseMs, now, seenFor);
}
