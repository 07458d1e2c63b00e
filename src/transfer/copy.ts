/** Copies secrets from one store to another: first a plan, which reads and checks everything, then the writes. */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { Pair } from '../core/transfer.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../core/secret.ts';
import type { SecretWrite } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';
import { rehearsed } from './absence.ts';
import { BATCH, comparePairs, readMany, type Sides } from './compare.ts';
import { missingVersions } from './history.ts';
import { refuseUnfit, sizeError } from './limits.ts';
import { MAX_PARALLEL, Pace } from './pace.ts';
import { type Place, textOf } from './place.ts';
import type { Step } from './steps.ts';

export interface CopyOptions {
  /** Copy every enabled version, oldest first, instead of only the current one. */
  readonly history: boolean;
  /** Copy labels and description too, if both stores support them. */
  readonly labels: boolean;
  /** Metadata from the listing of the source. */
  readonly infos: ReadonlyMap<string, SecretInfo>;
  /** The plan is all that is wanted (`--dry-run`): finds what otherwise only the write would meet. */
  readonly dryRun?: boolean;
  readonly onProgress: (text: string) => void;
}

/** A step with what is needed to carry it out. */
export interface PlannedStep extends Step {
  readonly pair: Pair;
  /**
   * The target's version when the plan was made. If another version is current by then, stores with conditional writes
   * reject the write.
   */
  readonly onTopOf?: string | undefined;
}

export function makeSides(session: Session, source: Place, target: Place): Sides {
  const pace = (place: Place): Pace =>
    new Pace({
      signal: session.interrupt.signal,
      onSlower: (parallel) =>
        session.debug(`${place.store} asks to slow down: ${parallel} calls at a time from here on`),
    });
  return { source, target, sourcePace: pace(source), targetPace: pace(target) };
}

/**
 * Compares all pairs and checks the target's limits. Only one batch of values is in memory.
 * @throws SecretsError when the target would reject a value: nothing has been written then
 */
export async function planCopy(
  session: Session,
  sides: Sides,
  pairs: readonly Pair[],
  options: CopyOptions,
): Promise<readonly PlannedStep[]> {
  const unfit: (SecretsError | undefined)[] = [];
  const { steps, fitting } = checkNames(sides, pairs);
  for await (const compared of comparePairs(session, sides, fitting)) {
    const { comparison, source, target, hasNoValue, targetHasNoValue } = compared;
    const { pair } = comparison;
    options.onProgress(`compared ${steps.length + 1} of ${pairs.length}`);
    const common = {
      pair,
      source: textOf(sides.source, pair.source),
      target: textOf(sides.target, pair.target),
      onTopOf: target?.id,
      isFirstValue: targetHasNoValue,
    };
    if (comparison.status === 'failed') {
      steps.push({ ...common, action: 'failed', error: comparison.error });
      continue;
    }
    if (hasNoValue === true) {
      steps.push({ ...common, action: 'skip' });
      continue;
    }
    if (source === undefined) {
      const error = new SecretsError('NotFound', 'not found', { reference: common.source });
      steps.push({ ...common, action: 'failed', error });
      continue;
    }
    const writes = target === undefined && targetHasNoValue !== true ? 'create' : 'update';
    const action = comparison.status === 'same' ? 'same' : writes;
    const keys = comparison.status === 'different' ? comparison.keys : undefined;
    if (!options.history) {
      if (action !== 'same') unfit.push(sizeError(sides.target, pair.target, source.value.length));
      steps.push({ ...common, action, keys });
      continue;
    }
    try {
      const missing = await missingVersions(session, sides, pair);
      for (const { value } of missing) unfit.push(sizeError(sides.target, pair.target, value.length));
      const versions = missing.length;
      steps.push({
        ...common,
        action: versions === 0 ? 'same' : writes,
        versions,
      });
    } catch (thrown) {
      steps.push({ ...common, action: 'failed', error: toSecretsError(thrown).forReference(common.target) });
    }
  }
  refuseUnfit(unfit);
  if (options.dryRun !== true) return steps;
  const rehearse = (step: PlannedStep): Promise<PlannedStep> =>
    rehearsed(session, sides.target, sides.targetPace, step, step.pair.target);
  return Promise.all(steps.map(rehearse));
}

/**
 * Separates the pairs whose names the target accepts; each of the others becomes a failed step. One odd name must not
 * keep the rest of a store from being copied.
 */
function checkNames(
  sides: Sides,
  pairs: readonly Pair[],
): { readonly steps: PlannedStep[]; readonly fitting: readonly Pair[] } {
  const steps: PlannedStep[] = [];
  const fitting = pairs.filter((pair) => {
    const target = textOf(sides.target, pair.target);
    try {
      sides.target.provider.checkName(pair.target);
      return true;
    } catch (thrown) {
      const { kind, message } = toSecretsError(thrown);
      const error = new SecretsError(kind, message, {
        reference: target,
        hint: 'use --replace FROM=TO to get a name that the store accepts',
      });
      steps.push({ pair, source: textOf(sides.source, pair.source), target, action: 'failed', error });
      return false;
    }
  });
  return { steps, fitting };
}

/** Carries out the plan and returns the outcomes in the order of its steps. Never rejects because of a single step. */
export async function applyCopy(
  session: Session,
  sides: Sides,
  plan: readonly PlannedStep[],
  options: CopyOptions,
): Promise<readonly Step[]> {
  const done: Step[] = [...plan];
  const todo = plan.flatMap((step, index) =>
    step.action === 'create' || step.action === 'update' ? [{ step, index }] : [],
  );
  let count = 0;
  for (let start = 0; start < todo.length; start += BATCH) {
    if (session.interrupt.signal.aborted) break;
    const batch = todo.slice(start, start + BATCH);
    const values = options.history
      ? undefined
      : await readMany(
          session,
          sides.source,
          sides.sourcePace,
          batch.map(({ step }) => step.pair.source),
        );
    await inParallel(batch, async ({ step, index }, place) => {
      try {
        const versions = await versionsOf(session, sides, step, values?.[place]);
        await writeVersions(session, sides, step, versions, options);
      } catch (thrown) {
        const error = toSecretsError(thrown).forReference(step.target);
        done[index] = { ...step, action: 'failed', error };
      }
      count += 1;
      options.onProgress(`copied ${count} of ${todo.length}`);
    });
  }
  return done;
}

async function versionsOf(
  session: Session,
  sides: Sides,
  step: PlannedStep,
  result: Awaited<ReturnType<typeof readMany>>[number] | undefined,
): Promise<readonly SecretVersion[]> {
  if (result === undefined) return missingVersions(session, sides, step.pair);
  if (!result.ok) throw result.error.forReference(step.source ?? step.target);
  return [result.secret];
}

async function writeVersions(
  session: Session,
  { source, target, targetPace }: Sides,
  step: PlannedStep,
  versions: readonly SecretVersion[],
  options: CopyOptions,
): Promise<void> {
  const { provider } = target;
  const metadata = await metadataOf(session, source, target, step, options);
  let before = step.onTopOf;
  for (const [index, { value, soleKey, expiresAt }] of versions.entries()) {
    const condition = before === undefined ? { ifAbsent: true } : { ifVersion: before };
    const write: SecretWrite = {
      value,
      ...(soleKey !== undefined && { soleKey }),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(index === 0 && metadata),
    };
    const put = (conditions: typeof condition | undefined): Promise<VersionInfo> =>
      targetPace.run(() => provider.put(step.pair.target, { ...write, ...conditions }, session.call()));
    const hasCas = (): boolean => provider.capabilities.has('cas');
    const written = await (hasCas()
      ? put(condition).catch((thrown: unknown) => {
          // Some stores only turn out to lack conditional writes at the first write.
          if (hasCas()) throw thrown;
          return put(undefined);
        })
      : put(undefined));
    before = written.id;
  }
}

async function metadataOf(
  session: Session,
  source: Place,
  target: Place,
  step: PlannedStep,
  { labels, infos }: CopyOptions,
): Promise<Pick<SecretWrite, 'labels' | 'description'>> {
  const both = source.provider.capabilities.has('labels') && target.provider.capabilities.has('labels');
  if (!labels || !both) return {};
  const info =
    infos.get(step.pair.source) ?? (await source.provider.describe(step.pair.source, session.call()));
  const given = Object.keys(info.labels ?? {}).length > 0;
  return {
    ...(given && info.labels !== undefined && { labels: info.labels }),
    ...(info.description !== undefined && { description: info.description }),
  };
}

/** Deletes secrets of the target (soft-deletes them if it can). Never rejects because of a single one. */
export async function deleteAll(
  session: Session,
  { target, targetPace }: Sides,
  names: readonly string[],
): Promise<readonly Step[]> {
  const steps: Step[] = names.map((name) => ({
    action: 'delete',
    source: undefined,
    target: textOf(target, name),
  }));
  await inParallel(names, async (name, index) => {
    try {
      await targetPace.run(() => target.provider.delete(name, {}, session.call()));
    } catch (thrown) {
      const step = steps[index] as Step;
      steps[index] = { ...step, action: 'failed', error: toSecretsError(thrown).forReference(step.target) };
    }
  });
  return steps;
}

/** Works on several items in parallel; the store's pace may slow this down further. */
async function inParallel<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next;
      next += 1;
      await work(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, items.length) }, worker));
}
