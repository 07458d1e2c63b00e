import { resolve } from 'node:path';
import { parseAnchors } from '../../audit/log/anchor.ts';
import { namesOf } from '../../audit/log/files.ts';
import { auditHeadFolder } from '../../audit/log/log.ts';
import { parsePublicKeys, readOwnPublicKey } from '../../audit/log/keys.ts';
import { verifyLog } from '../../audit/log/verify.ts';
import type { Known, Problem, Summary } from '../../core/audit/problems.ts';
import { SecretsError } from '../../core/errors.ts';
import { readPrivateFile } from '../../platform/files.ts';
import { startProgress } from '../../output/progress.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { compact } from '../../output/shapes.ts';
import type { Session } from '../../session/session.ts';
import { xdgFolder } from '../../platform/world.ts';
import type { CommonOptions } from '../../session/options.ts';
import { readInput } from '../put-value.ts';
import type { Invocation } from '../command.ts';

interface VerifyOptions extends CommonOptions {
  readonly anchor?: readonly string[];
  readonly key?: readonly string[];
}

const LARGEST_ANCHOR = 16 * 1024 * 1024;

export async function run(session: Session, { args, options }: Invocation<VerifyOptions>): Promise<void> {
  const { cwd } = session.world;
  const files =
    args.length > 0 ? args.map((file) => resolve(cwd, file)) : [(await session.config()).audit.path];
  const anchors: Known[] = [];
  for (const place of options.anchor ?? [])
    anchors.push(...parseAnchors(await anchorText(session, place), place));
  const keys = keysOf(session, options.key, files);
  const summary = await check(session, files, { keys: keys.ids, anchors, named: args.length > 0 });
  const [first] = summary.problems;
  if (options.json === true) await session.printJson(summaryJson(summary, keys.pinned));
  else {
    await session.print(
      `${[...summary.problems.map(problemLine), ...lines(summary, keys.pinned)].map(singleLine).join('\n')}\n`,
    );
  }
  if (first === undefined) return;
  throw new SecretsError('Integrity', `the audit log is not whole: ${problemLine(first)}`, {
    hint: 'keep the log as it is, and compare it with a copy or an anchor',
  });
}

/** Verifies a log, with the progress of that. @throws SecretsError */
export async function check(
  session: Session,
  files: readonly string[],
  more: Pick<Parameters<typeof verifyLog>[0], 'keys' | 'anchors' | 'named'>,
): Promise<Summary> {
  const progress = startProgress(session);
  return verifyLog({
    ...more,
    files,
    headFolder: auditHeadFolder(session.world),
    progress: (done, total) => progress.update(`verified ${Math.floor((100 * done) / total)} % of the log`),
    signal: session.interrupt.signal,
  }).finally(() => progress.done());
}

export function problemLine({ kind, file, line, seq, message }: Problem): string {
  const where = [
    file === undefined ? undefined : `${file}${line === undefined ? '' : `:${line}`}`,
    seq === undefined ? undefined : `record ${seq}`,
  ].filter((part) => part !== undefined);
  return `${kind}: ${where.length === 0 ? '' : `${where.join(', ')}: `}${message}`;
}

function lines(summary: Summary, isPinned: boolean): readonly string[] {
  const { records, first, last, checkpoints, signedTo, keys, repairs, more, notices, problems } = summary;
  const result: string[] = [];
  if (more > 0) result.push(`and ${more} more`);
  if (problems.length === 0) {
    result.push(
      first === undefined
        ? 'the log is empty'
        : `the log is whole: ${plural(records, 'record')}, ${first} to ${last ?? first}`,
    );
  }
  result.push(
    signedTo === undefined
      ? 'no checkpoint is signed with a key that counts'
      : `${plural(checkpoints, 'checkpoint')}; signed up to record ${signedTo} by ${keys.join(', ')}`,
  );
  if (signedTo !== undefined && last !== undefined && last > signedTo)
    result.push(
      `${plural(last - signedTo, 'record')} since then: chained, and signed with the next checkpoint`,
    );
  if (repairs > 0) result.push(`${plural(repairs, 'repair')}: secrets audit log --all shows them`);
  if (!isPinned)
    result.push('the key is one that stands beside the log or in it: compare its id, or pin it with --key');
  return [...result, ...notices];
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function summaryJson(summary: Summary, isPinned: boolean): object {
  const { problems, lastHash, secondHead: _named, firstPrev: _first, ...facts } = summary;
  return compact({
    whole: problems.length === 0,
    ...facts,
    lastHash,
    keyPinned: isPinned,
    problems: problems.map((problem) => compact({ ...problem })),
  });
}

/** The ids that count: those given, else the user's own, else those beside the log. */
function keysOf(
  session: Session,
  given: readonly string[] | undefined,
  files: readonly string[],
): { readonly ids: ReadonlySet<string> | undefined; readonly pinned: boolean } {
  if (given !== undefined) {
    const ids = given.flatMap((text) => {
      if (/^[0-9a-f]{64}$/.test(text)) return [text];
      const found = keyIdsIn(resolve(session.world.cwd, text));
      if (found === undefined || found.length === 0)
        throw new SecretsError(
          'Usage',
          `--key ${text} is neither the id of a key nor a file of public keys`,
          {
            hint: 'secrets audit verify prints the ids; the keys are in audit.pub beside the log',
          },
        );
      return found;
    });
    return { ids: new Set(ids), pinned: true };
  }
  const own = readOwnPublicKey(xdgFolder(session.world, 'state'));
  if (own !== undefined) return { ids: new Set([own.id]), pinned: true };
  const beside = files.flatMap((file) => keyIdsIn(namesOf(file).publicKeys) ?? []);
  return { ids: beside.length === 0 ? undefined : new Set(beside), pinned: false };
}

function keyIdsIn(path: string): readonly string[] | undefined {
  const text = readPrivateFile(path, 'the public keys', false)?.toString('utf8');
  return text === undefined ? undefined : parsePublicKeys(text).map(({ id }) => id);
}

/** What a place holds: `-` is stdin, what has :// is a reference, all else a file. */
async function anchorText(session: Session, place: string): Promise<string> {
  if (place.includes('://')) {
    const [resolved] = await session.resolve([place]);
    if (resolved === undefined || !resolved.ok)
      throw resolved?.error ?? new SecretsError('Failed', 'no answer');
    return Buffer.from(resolved.value).toString('utf8');
  }
  const bytes = await readInput(
    session,
    place === '-' ? undefined : place,
    LARGEST_ANCHOR,
    'not an anchor: the file is too large',
  );
  return Buffer.from(bytes).toString('utf8');
}
