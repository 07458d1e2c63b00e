/** Collects the data of a report: every store's secrets, with several calls at a time. */
import type { SecretFacts } from '../core/findings/posture.ts';
import type { ReportNote, ReportStore } from '../core/findings/report.ts';
import { parsePeriod } from '../core/duration.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { compareText } from '../core/order.ts';
import { formatReference } from '../core/reference/reference.ts';
import { pool } from '../core/waiting.ts';
import type { Provider } from '../providers/provider.ts';
import type { SecretInfo, VersionInfo } from '../core/secret.ts';
import { Rotations } from '../rotation/jobs.ts';
import { decodeHolder, HOLDER_LABEL } from '../core/rotation/holder.ts';
import { judge, judgeNative, type Schedule, withReminder } from '../core/rotation/schedule.ts';
import { projectStores } from '../session/project-stores.ts';
import { targets } from '../rotation/targets/index.ts';
import type { Session } from '../session/session.ts';
import { reportFailures } from './failures.ts';

/** Secrets of one store that are examined at a time. Stores are examined in parallel. */
const PARALLEL_SECRETS = 8;
/** The number of errors listed for one store. */
const MOST_ERRORS = 20;

export interface Collected {
  readonly stores: readonly ReportStore[];
  readonly secrets: readonly SecretFacts[];
  readonly notes: readonly ReportNote[];
}

/** The data collected from one store so far. */
class Gathering {
  readonly name: string;
  readonly provider: string;
  readonly errors: SecretsError[] = [];
  readonly secrets: SecretFacts[] = [];
  readonly notes = new Map<string, { readonly rule: string; readonly why: string; count: number }>();
  #more = 0;

  constructor(name: string, provider: string) {
    this.name = name;
    this.provider = provider;
  }

  fail(thrown: unknown, reference: string): void {
    if (this.errors.length < MOST_ERRORS) this.errors.push(toSecretsError(thrown).forReference(reference));
    else this.#more += 1;
  }

  /** Notes a part of a secret that the caller may not see. It isn't a failure: the rule that needs it says so. */
  hide(rule: string, why: string): void {
    const key = `${rule}\n${why}`;
    const note = this.notes.get(key) ?? { rule, why, count: 0 };
    note.count += 1;
    this.notes.set(key, note);
  }

  report(): ReportStore {
    const errors = reportFailures(this.errors);
    const more = { kind: 'Partial', message: `${this.#more} more failed` };
    return {
      name: this.name,
      provider: this.provider,
      secrets: this.secrets.length,
      errors: this.#more > 0 ? [...errors, more] : errors,
    };
  }
}

/** The stores of a report if none is named: those in use here. */
export async function storesInUse(session: Session): Promise<readonly string[]> {
  const { store } = session.options;
  return store === undefined ? [...(await projectStores(session))] : [store];
}

export async function collect(
  session: Session,
  names: readonly string[],
  progress: (text: string) => void,
): Promise<Collected> {
  const rotations = new Rotations(session);
  const policies = await rotations.policies();
  const { leaseMs } = await rotations.bounds();
  const gatherings: Gathering[] = [];
  let looked = 0;
  const lookAt = async (gathering: Gathering, provider: Provider, info: SecretInfo): Promise<void> => {
    await gather({ session, rotations, policies, leaseMs }, gathering, provider, info);
    looked += 1;
    progress(`${looked} secrets`);
  };
  try {
    for (const name of names)
      gatherings.push(new Gathering(name, (await session.storeConfig(name)).provider));
    await Promise.all(
      gatherings.map(async (gathering) => {
        try {
          const provider = await session.open(gathering.name);
          const each = pool(PARALLEL_SECRETS);
          const work: Promise<void>[] = [];
          for await (const info of provider.list({ details: true }, session.call())) {
            if (info.deletedAt !== undefined) continue;
            work.push(each(() => lookAt(gathering, provider, info)));
          }
          await Promise.all(work);
        } catch (thrown) {
          gathering.fail(thrown, `${gathering.name}://`);
        }
      }),
    );
  } finally {
    await rotations.close();
  }
  return {
    stores: gatherings.map((gathering) => gathering.report()),
    secrets: gatherings.flatMap(({ secrets }) =>
      secrets.toSorted(({ info: one }, { info: other }) => compareText(one.name, other.name)),
    ),
    notes: gatherings.flatMap(notesOf),
  };
}

interface Around {
  readonly session: Session;
  readonly rotations: Rotations;
  readonly policies: Awaited<ReturnType<Rotations['policies']>>;
  readonly leaseMs: number;
}

/** Everything about one secret but its value. What fails goes to the gathering. */
async function gather(
  { session, rotations, policies, leaseMs }: Around,
  gathering: Gathering,
  provider: Provider,
  info: SecretInfo,
): Promise<void> {
  const { name: store } = gathering;
  const reference = formatReference({ store, name: info.name });
  const part = <T>(rule: string, work: () => Promise<T>): Promise<T | undefined> =>
    orHidden(gathering, reference, rule, work);
  const { history, grants: grantsOf } = provider;
  const versions =
    history === undefined
      ? undefined
      : await part('versions', async () => {
          const all: VersionInfo[] = [];
          for await (const version of history.call(provider, info.name, session.call())) all.push(version);
          return all;
        });
  if (history === undefined) gathering.hide('versions', 'the store keeps none');
  const grants =
    grantsOf === undefined
      ? undefined
      : await part('broad-access', () => grantsOf.call(provider, info.name, session.call()));
  if (grantsOf === undefined) gathering.hide('broad-access', 'the store does not show who may read a secret');
  const policy = policies.get(reference);
  const every = policy?.settings.every;
  const schedule = scheduleOf(
    info,
    versions,
    every === undefined ? undefined : parsePeriod(every),
    leaseMs,
    (id) => rotations.seenFor(reference, id),
    session.world.now(),
  );
  if (schedule.state === 'never') gathering.hide('overdue', 'there is no date of the last change');
  const target = targetOf(policy?.settings.target);
  gathering.secrets.push({
    store,
    info,
    versions,
    schedule,
    grants,
    hasPolicy: policy !== undefined,
    ...(target !== undefined && { target }),
  });
}

/** A part of a secret; without a result, what hides or breaks it is noted. */
async function orHidden<T>(
  gathering: Gathering,
  reference: string,
  rule: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (thrown) {
    const error = toSecretsError(thrown);
    if (error.kind === 'Denied') gathering.hide(rule, 'the caller may not see it');
    else if (error.kind === 'Unsupported') gathering.hide(rule, 'the store has none');
    // Deleted meanwhile, so there is nothing to report.
    else if (error.kind !== 'NotFound') gathering.fail(thrown, reference);
    return undefined;
  }
}

/** The schedule as far as versions and labels show it; no value is read. */
function scheduleOf(
  info: SecretInfo,
  versions: readonly VersionInfo[] | undefined,
  everyMs: number | undefined,
  leaseMs: number,
  seenFor: (id: string) => number,
  now: Date,
): Schedule {
  const at = (stage: string): VersionInfo | undefined =>
    versions?.find(({ stages }) => stages.includes(stage));
  const held = (version: VersionInfo | undefined): { id: string; createdAt: Date | undefined } | undefined =>
    version === undefined ? undefined : { id: version.id, createdAt: version.createdAt };
  const current = held(at('current')) ?? {
    id: '',
    createdAt: versions === undefined ? (info.updatedAt ?? info.createdAt) : undefined,
  };
  const { labels = {}, rotation: native } = info;
  if (native?.role === 'rotates' && native.enabled) return judgeNative(native, undefined, now);
  const pending = held(at('pending'));
  const holder = pending && decodeHolder(labels[HOLDER_LABEL], pending.id);
  const own = judge({ current, pending, holder }, labels, everyMs, leaseMs, now, seenFor);
  return native === undefined ? own : withReminder(own, native, now);
}

function targetOf(
  settings: Readonly<Record<string, unknown>> | undefined,
): { readonly type: string; readonly verifies: boolean } | undefined {
  if (settings === undefined) return undefined;
  const { type, ...rest } = settings;
  const kind = targets.find((descriptor) => descriptor.type === type);
  if (kind === undefined) return undefined;
  return { type: kind.type, verifies: kind.verifies?.(rest as never) ?? true };
}

function notesOf({ name, notes, secrets }: Gathering): readonly ReportNote[] {
  return [...notes.values()].map(({ rule, why, count }) => {
    const what =
      rule === 'versions'
        ? 'never-rotated, disabled-current and too-many-versions are not known'
        : `${rule} is not known`;
    return {
      ...(rule !== 'versions' && { rule }),
      store: name,
      message: `${what} of ${count === secrets.length ? 'its secrets' : `${count} secrets`}: ${why}`,
    };
  });
}
