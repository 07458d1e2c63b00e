/** Compares pairs of secrets in batches, so that only one batch of values is in memory. */
import { type SecretsError, toSecretsError } from '../core/errors.ts';
import { changedKeys, type Pair, sameValue } from '../core/transfer.ts';
import type { GetResult } from '../providers/provider.ts';
import type { SecretVersion } from '../core/secret.ts';
import type { Session } from '../session/session.ts';
import { isWithoutValue } from '../providers/errors.ts';
import { absenceOf } from './absence.ts';
import type { Pace } from './pace.ts';
import { type Place, textOf } from './place.ts';

/** Secrets read in one request to a store. */
export const BATCH = 20;

export type Comparison = { readonly pair: Pair } & (
  | { readonly status: 'same' }
  | { readonly status: 'different'; readonly keys: readonly string[] | undefined }
  /** On one side only. */
  | { readonly status: 'source-only' }
  | { readonly status: 'target-only' }
  /** The source has no value yet, and the target has none either. */
  | { readonly status: 'no-value' }
  | { readonly status: 'failed'; readonly error: SecretsError }
);

/** Both values of a pair, as far as they exist. */
export interface ComparedPair {
  readonly comparison: Comparison;
  readonly source?: SecretVersion | undefined;
  readonly target?: SecretVersion | undefined;
  /** The target is there, but has no value yet. */
  readonly targetHasNoValue?: boolean;
  /** The source was listed, but has no value yet. */
  readonly hasNoValue?: boolean;
}

export interface Sides {
  readonly source: Place;
  readonly target: Place;
  readonly sourcePace: Pace;
  readonly targetPace: Pace;
}

/** Reads both sides of the pairs and compares them, in the pairs' order. */
export async function* comparePairs(
  session: Session,
  sides: Sides,
  pairs: readonly Pair[],
): AsyncGenerator<ComparedPair> {
  for (let start = 0; start < pairs.length; start += BATCH) {
    const batch = pairs.slice(start, start + BATCH);
    const [sources, targets] = await Promise.all([
      readMany(
        session,
        sides.source,
        sides.sourcePace,
        batch.map((pair) => pair.source),
      ),
      readMany(
        session,
        sides.target,
        sides.targetPace,
        batch.map((pair) => pair.target),
      ),
    ]);
    for (const [index, pair] of batch.entries()) {
      const compared = compare(sides, pair, sources[index] as GetResult, targets[index] as GetResult);
      yield await withoutValue(session, sides, compared);
    }
  }
}

/** One request to a store, repeated at a slower pace for the secrets that were throttled. */
export async function readMany(
  session: Session,
  place: Place,
  pace: Pace,
  names: readonly string[],
): Promise<readonly GetResult[]> {
  const results = new Map<string, GetResult>();
  const ask = async (wanted: readonly string[]): Promise<void> => {
    const answers = await place.provider.get(
      wanted.map((name) => ({ name })),
      session.call(),
    );
    for (const [index, name] of wanted.entries()) results.set(name, answers[index] as GetResult);
  };
  let wanted = names;
  try {
    await pace.run(async () => {
      await ask(wanted);
      wanted = names.filter((name) => {
        const result = results.get(name);
        return result?.ok === false && result.error.kind === 'Throttled';
      });
      const [first] = wanted;
      const result = first === undefined ? undefined : results.get(first);
      if (result?.ok === false) throw result.error;
    });
  } catch (thrown) {
    const error = toSecretsError(thrown);
    for (const name of wanted) results.set(name, { ok: false, error });
  }
  return names.map((name) => results.get(name) as GetResult);
}

/**
 * Among many secrets, one without a value (created by Terraform or a console) is no failure: a scheduled copy of the
 * store would fail each time. A single one was named, so its error stays.
 */
async function withoutValue(
  session: Session,
  { source, sourcePace }: Sides,
  compared: ComparedPair,
): Promise<ComparedPair> {
  const { comparison } = compared;
  const { pair, status } = comparison;
  const isMissing = status === 'target-only' || (status === 'failed' && comparison.error.kind === 'NotFound');
  if (!source.many || !isMissing) return compared;
  const absence = await sourcePace.run(() => absenceOf(source.provider, pair.source, session.call()));
  if (absence !== 'no value') return compared;
  return status === 'failed'
    ? { comparison: { pair, status: 'no-value' }, hasNoValue: true }
    : { ...compared, hasNoValue: true };
}

function compare({ source, target }: Sides, pair: Pair, from: GetResult, to: GetResult): ComparedPair {
  const failed = (error: SecretsError, place: Place, name: string): ComparedPair => ({
    comparison: { pair, status: 'failed', error: error.forReference(textOf(place, name)) },
  });
  const missing = (result: GetResult): boolean => !result.ok && result.error.kind === 'NotFound';
  if (!from.ok && !missing(from)) return failed(from.error, source, pair.source);
  if (!to.ok && !missing(to)) return failed(to.error, target, pair.target);
  if (from.ok && to.ok) {
    const comparison: Comparison = sameValue(from.secret, to.secret)
      ? { pair, status: 'same' }
      : { pair, status: 'different', keys: changedKeys(from.secret, to.secret) };
    return { comparison, source: from.secret, target: to.secret };
  }
  if (from.ok) {
    const targetHasNoValue = !to.ok && isWithoutValue(to.error);
    return { comparison: { pair, status: 'source-only' }, source: from.secret, targetHasNoValue };
  }
  if (to.ok) return { comparison: { pair, status: 'target-only' }, target: to.secret };
  return failed((from as { error: SecretsError }).error, source, pair.source);
}
