import { SecretsError } from '../core/errors.ts';
import { startProgress } from '../output/progress.ts';
import type { Session } from '../session/session.ts';
import { applyCopy, deleteAll, makeSides, planCopy } from '../transfer/copy.ts';
import { textOf } from '../transfer/place.ts';
import { countText, planLines, report, type Step } from '../transfer/steps.ts';
import { openBoth } from './copy.ts';
import { listSides, matchNames } from './diff.ts';
import type { CommonOptions } from '../session/options.ts';
import type { Invocation } from './command.ts';

interface Options extends CommonOptions {
  readonly delete?: boolean;
  readonly labels?: boolean;
  readonly replace?: readonly string[];
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export async function run(session: Session, { args, options }: Invocation<Options>): Promise<void> {
  const [from, to] = args as [string, string];
  const { source, target } = await openBoth(session, from, to);
  if (!source.many)
    throw new SecretsError('Usage', 'sync needs a prefix on both sides', {
      reference: source.text,
      hint: 'end both sides in /, or use secrets copy for one',
    });
  const { stdin, stderr } = session.world;
  const dryRun = options.dryRun === true;
  const asks = options.yes !== true && !dryRun && stdin.isTTY === true && stderr.isTTY === true;
  if (options.delete === true && options.yes !== true && !dryRun && !asks)
    throw new SecretsError('Usage', 'sync --delete asks before it deletes, and there is no terminal', {
      hint: 'look at --dry-run, then use --yes',
    });
  const progress = startProgress(session);
  try {
    const sides = makeSides(session, source, target);
    const onProgress = (text: string): void => progress.update(text);
    const { listed, there } = await listSides(session, sides, options.labels !== false, onProgress);
    const { names, infos } = listed;
    if (names.length === 0 && options.delete === true)
      throw new SecretsError('NotFound', 'the source is empty, and an empty source deletes everything', {
        reference: source.text,
        hint: 'to delete them, use secrets delete',
      });
    const { pairs, extra } = matchNames(sides, names, there.names, options.replace ?? []);
    const copyOptions = { history: false, labels: options.labels !== false, infos, dryRun, onProgress };
    const plan = await planCopy(session, sides, pairs, copyOptions);
    const deletions = options.delete === true ? extra : [];
    const planned: Step[] = [
      ...plan,
      ...deletions.map((name): Step => ({
        action: 'delete',
        source: undefined,
        target: textOf(target, name),
      })),
    ];
    progress.done();
    if (dryRun) {
      await report(session, planned, true);
      return;
    }
    if (asks && !(await confirmed(session, planned))) return;
    const done = await applyCopy(session, sides, plan, copyOptions);
    // What could not be copied may be what a deletion was for (a secret that moved): then nothing is deleted.
    const failed = done.some(({ action }) => action === 'failed');
    if (failed && deletions.length > 0)
      session.warn('nothing was deleted, because not everything was copied');
    const deleted = failed ? [] : await deleteAll(session, sides, deletions);
    progress.done();
    await report(session, [...done, ...deleted], false);
  } finally {
    progress.done();
  }
}

/** Shows the plan and asks. A plan that changes nothing is not asked about. */
async function confirmed(session: Session, planned: readonly Step[]): Promise<boolean> {
  const lines = planLines(planned);
  if (lines.length === 0) return true;
  for (const line of lines) session.note(line);
  const answer = await session.output.ask(`${countText(planned, false)}. Type yes to go on`);
  if (answer === 'yes') return true;
  session.note('nothing was changed');
  return false;
}
