import { combineErrors, SecretsError } from '../core/errors.ts';
import { pairNames, type Pair, parseReplacement } from '../core/transfer.ts';
import { startProgress } from '../output/progress.ts';
import { compact } from '../output/shapes.ts';
import { printTable } from '../output/table.ts';
import type { Session } from '../session/session.ts';
import { type Comparison, comparePairs, type Sides } from '../transfer/compare.ts';
import { makeSides } from '../transfer/copy.ts';
import { type ListedSecrets, listPlace, type Place, textOf } from '../transfer/place.ts';
import { openBoth } from './copy.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface Options extends CommonOptions {
  readonly replace?: readonly string[];
  readonly exitCode?: boolean;
}

const WORDS = { different: 'different', 'source-only': 'only in A', 'target-only': 'only in B' } as const;

export async function run(session: Session, { args, options }: Invocation<Options>): Promise<number> {
  const [a, b] = args as [string, string];
  const { source, target } = await openBoth(session, a, b);
  const progress = startProgress(session);
  const found: Comparison[] = [];
  let same = 0;
  let withoutValue = 0;
  try {
    const sides = makeSides(session, source, target);
    const onProgress = (text: string): void => progress.update(text);
    const { listed, there } = await listSides(session, sides, false, onProgress);
    const { pairs, extra } = matchNames(sides, listed.names, there.names, options.replace ?? []);
    for await (const { comparison } of comparePairs(session, sides, pairs)) {
      if (comparison.status === 'same') same += 1;
      else if (comparison.status === 'no-value') withoutValue += 1;
      else found.push(comparison);
      onProgress(`compared ${same + withoutValue + found.length} of ${pairs.length}`);
    }
    for (const name of extra) found.push({ pair: { source: name, target: name }, status: 'target-only' });
    progress.done();
    await show(session, sides, { found, same, withoutValue });
  } finally {
    progress.done();
  }
  const errors = found.flatMap((one) => (one.status === 'failed' ? [one.error] : []));
  const all = same + found.length;
  if (errors.length > 0 && errors.length < all)
    throw new SecretsError('Partial', `${errors.length} of ${all} secrets could not be compared`, { errors });
  if (errors.length > 0) throw combineErrors(errors, `none of ${errors.length} secrets could be compared`);
  return options.exitCode === true && found.length > 0 ? 1 : 0;
}

export interface Matched {
  readonly pairs: readonly Pair[];
  /** Names that only the target has. */
  readonly extra: readonly string[];
}

/** The secrets of both sides, which are asked at the same time. */
export async function listSides(
  session: Session,
  { source, target }: Sides,
  details: boolean,
  onProgress: (text: string) => void,
): Promise<{ readonly listed: ListedSecrets; readonly there: ListedSecrets }> {
  const list = (place: Place, more: boolean): Promise<ListedSecrets> =>
    listPlace(session, place, more, (count) => onProgress(`${count} secrets found in ${place.store}`));
  // Both come to their ends before one of them fails the command, so that the log has what became of each.
  const both = [list(source, details), list(target, false)] as const;
  await Promise.allSettled(both);
  const [listed, there] = await Promise.all(both);
  return { listed, there };
}

/** The secrets of the source with their names in the target, and the target's others. */
export function matchNames(
  { source, target }: Sides,
  names: readonly string[],
  there: readonly string[],
  replace: readonly string[],
): Matched {
  const prefixes = { source: source.name, target: target.name };
  const pairs = pairNames(names, prefixes, replace.map(parseReplacement));
  const known = new Set(pairs.map((pair) => pair.target));
  return { pairs, extra: there.filter((name) => !known.has(name)) };
}

interface Result {
  /** What isn't the same. */
  readonly found: readonly Comparison[];
  readonly same: number;
  /** How many secrets of the first side have no value yet and none on the other side. */
  readonly withoutValue: number;
}

async function show(
  session: Session,
  { source, target }: Sides,
  { found, same, withoutValue }: Result,
): Promise<void> {
  if (session.options.json === true) {
    await session.printJson({
      same,
      ...(withoutValue > 0 && { withoutValue }),
      differences: found.map((one) =>
        compact({
          status: one.status,
          a: one.status === 'target-only' ? undefined : textOf(source, one.pair.source),
          b: one.status === 'source-only' ? undefined : textOf(target, one.pair.target),
          keys: one.status === 'different' ? one.keys : undefined,
          error: one.status === 'failed' ? one.error.message : undefined,
        }),
      ),
    });
    return;
  }
  const rows = found.flatMap((one) => {
    if (one.status === 'failed' || one.status === 'same' || one.status === 'no-value') return [];
    const keys = one.status === 'different' ? (one.keys ?? []) : [];
    const name =
      one.status === 'source-only' ? textOf(source, one.pair.source) : textOf(target, one.pair.target);
    return [[WORDS[one.status], name, keys.join(', ')]];
  });
  if (rows.length > 0) await printTable(session, ['', 'SECRET', 'KEYS'], rows);
  session.note(
    `${same} the same, ${found.length} not${withoutValue > 0 ? `, ${withoutValue} without a value` : ''}`,
  );
}
