import { SecretsError, toSecretsError } from '../core/errors.ts';
import { pool } from '../core/waiting.ts';
import { compact } from '../output/shapes.ts';
import { printTable, shortDate } from '../output/table.ts';
import { EVERY_LABEL, HOLDER_LABEL } from '../rotation/holder.ts';
import { Rotations } from '../rotation/jobs.ts';
import { SecretPlace } from '../rotation/place.ts';
import { byUrgency, type Schedule, scheduleOf } from '../rotation/schedule.ts';
import { formatReference } from '../core/reference.ts';
import type { Session } from '../session.ts';
import { parsePeriod } from '../core/duration.ts';
import { holderJson, holderText } from './rotate-outcome.ts';

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
    if (session.options.json === true) await session.printJson({ secrets: sorted.map(rowJson) });
    else
      await printTable(
        session,
        ['reference', 'state', 'age', 'every', 'next', 'held by'],
        sorted.map(({ reference, schedule, age }) => [
          reference,
          schedule.state,
          age === undefined ? '' : days(age),
          schedule.everyMs === undefined ? '' : days(schedule.everyMs),
          shortDate(schedule.next),
          schedule.holder === undefined ? '' : holderText(schedule.holder),
        ]),
      );
    if (failures.length > 0)
      throw new SecretsError('Partial', `${failures.length} could not be looked at`, { errors: failures });
  } finally {
    await rotations.close();
  }
}

function rowJson({ reference, schedule, age }: Row): object {
  const { state, lastRotated, everyMs, next, holder, retireAt } = schedule;
  return compact({
    reference,
    state,
    ageSeconds: age === undefined ? undefined : Math.floor(age / 1000),
    lastRotated: lastRotated?.toISOString(),
    everySeconds: everyMs === undefined ? undefined : everyMs / 1000,
    next: next?.toISOString(),
    holder: holderJson(holder),
    previousUntil: retireAt?.toISOString(),
  });
}

function days(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)}d`;
  return ms >= 7_200_000 ? `${Math.floor(ms / 3_600_000)}h` : `${Math.floor(ms / 60_000)}m`;
}

/** Secrets with a policy, and in the project's stores those that carry a label of rotations. */
async function collect(
  session: Session,
  rotations: Rotations,
): Promise<{ rows: readonly Row[]; failures: readonly SecretsError[] }> {
  const config = await session.config();
  const policies = await rotations.policies();
  const { leaseMs } = await rotations.bounds();
  const asked = new Map<string, number | undefined>();
  const failures: SecretsError[] = [];
  for (const [reference, { settings }] of policies)
    asked.set(reference, settings.every === undefined ? undefined : parsePeriod(settings.every));
  // A provider's own store is looked through when it is in use here: not each cloud that the program knows.
  const stores = new Set([config.defaultStore]);
  for (const { name, source } of config.stores.values()) if (source !== 'builtin') stores.add(name);
  for (const reference of policies.keys()) stores.add((await session.target(reference, false)).store);
  await Promise.all(
    [...stores].map(async (store) => {
      try {
        const provider = await session.open(store);
        if (!provider.capabilities.has('labels') || !provider.capabilities.has('stages')) return;
        for await (const { name, labels = {} } of provider.list({ details: true }, session.call())) {
          const reference = formatReference({
            store,
            name,
            version: undefined,
            stage: undefined,
            key: undefined,
          });
          if (Object.hasOwn(labels, EVERY_LABEL) || Object.hasOwn(labels, HOLDER_LABEL))
            if (!asked.has(reference)) asked.set(reference, undefined);
        }
      } catch (thrown) {
        failures.push(toSecretsError(thrown).forReference(`${store}://`));
      }
    }),
  );
  const limit = pool(PARALLEL);
  const rows: Row[] = [];
  const now = session.world.now();
  await Promise.all(
    [...asked].map(([reference, everyMs]) =>
      limit(async () => {
        try {
          const target = await session.target(reference);
          const provider = await session.open(target.store, target.native);
          const place = new SecretPlace(provider, target.reference.name, () => session.call());
          const schedule = await scheduleOf(place, everyMs, leaseMs, now, (id) =>
            rotations.seenFor(reference, id),
          );
          const { lastRotated } = schedule;
          const age = lastRotated === undefined ? undefined : now.getTime() - lastRotated.getTime();
          rows.push({ reference, schedule, age });
        } catch (thrown) {
          failures.push(toSecretsError(thrown).forReference(reference));
        }
      }),
    ),
  );
  return { rows, failures };
}
