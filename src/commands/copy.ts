import { pairNames, parseReplacement } from '../core/transfer.ts';
import { SecretsError } from '../core/errors.ts';
import { startProgress } from '../output/progress.ts';
import type { Session } from '../session/session.ts';
import { applyCopy, type CopyOptions, makeSides, planCopy } from '../transfer/copy.ts';
import { listPlace, openPlace, type Place } from '../transfer/place.ts';
import { report } from '../transfer/steps.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface Options extends CommonOptions {
  readonly history?: boolean;
  readonly labels?: boolean;
  readonly replace?: readonly string[];
  readonly dryRun?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<Options>): Promise<void> {
  const [from, to] = args as [string, string];
  const { source, target } = await openBoth(session, from, to);
  const progress = startProgress(session);
  try {
    const { names, infos } = await listPlace(session, source, options.labels !== false, (count) =>
      progress.update(`${count} secrets found`),
    );
    if (names.length === 0) {
      throw new SecretsError('NotFound', 'no secret under this prefix', { reference: source.text });
    }
    const pairs = pairNames(
      names,
      { source: source.name, target: target.name },
      (options.replace ?? []).map(parseReplacement),
    );
    const sides = makeSides(session, source, target);
    const copyOptions: CopyOptions = {
      history: options.history === true,
      labels: options.labels !== false,
      infos,
      dryRun: options.dryRun === true,
      onProgress: (text) => progress.update(text),
    };
    const plan = await planCopy(session, sides, pairs, copyOptions);
    const steps = options.dryRun === true ? plan : await applyCopy(session, sides, plan, copyOptions);
    progress.done();
    await report(session, steps, options.dryRun === true);
  } finally {
    progress.done();
  }
}

/** @throws SecretsError Usage when the two sides are of different kinds, or one and the same */
export async function openBoth(
  session: Session,
  from: string,
  to: string,
): Promise<{ readonly source: Place; readonly target: Place }> {
  const [source, target] = await Promise.all([openPlace(session, from), openPlace(session, to)]);
  if (source.many !== target.many) {
    throw new SecretsError(
      'Usage',
      `${source.text} is ${kind(source)} and ${target.text} is ${kind(target)}`,
      {
        hint: 'end both in / or * for many, or neither for one',
      },
    );
  }
  if (source.store === target.store && source.name === target.name)
    throw new SecretsError('Usage', 'both sides are the same', { reference: source.text });
  return { source, target };
}

function kind({ many }: Place): string {
  return many ? 'a prefix' : 'one secret';
}
