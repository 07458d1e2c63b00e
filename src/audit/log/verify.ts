/** Reads a log from its files and verifies its chain, in one pass and bounded memory. */
import { isUtf8 } from 'node:buffer';
import { closeSync, fstatSync, readSync, type Stats } from 'node:fs';
import { basename } from 'node:path';
import type { Known, Problem, Summary } from '../../core/audit/problems.ts';
import { ChainVerifier } from '../../core/audit/verify.ts';
import type { Head } from '../../core/audit/chain.ts';
import { SecretsError } from '../../core/errors.ts';
import { codeOf, fileError } from '../../platform/files.ts';
import { closedFiles, isAhead, isClosedName, namesOf, openAny, parseHead, readFully } from './files.ts';
import { foreignForm } from './foreign.ts';
import { LONGEST_LINE } from './lines.ts';
import { takeLock } from './lock.ts';
import { readSecondHead, type SecondHead, secondHeadId, secondHeadPath } from './second-head.ts';
import { trustIn } from './trust.ts';

const PIECE = 1024 * 1024;
const LOCK_WAIT_MS = 5000;
const FORM_BYTES = 8192;

export interface VerifyOptions {
  /** The log's current file, or some of its closed files. */
  readonly files: readonly string[];
  /** Ids of the keys whose checkpoints are accepted; undefined: any key whose signature is valid. */
  readonly keys: ReadonlySet<string> | undefined;
  readonly anchors: readonly Known[];
  /** Where second heads are kept; undefined: don't look at them. */
  readonly headFolder?: string | undefined;
  /** Whether the user named the files, rather than taking those of the configuration. */
  readonly named?: boolean | undefined;
  readonly progress: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

interface Part {
  readonly fd: number;
  readonly path: string;
  readonly size: number;
  /** Its end may be torn, if a writer died and no other has repaired it yet. */
  readonly current: boolean;
}

interface Heads {
  readonly head: Head | undefined;
  readonly secondPath: string | undefined;
  readonly second: SecondHead;
}

/**
 * Verifies a log.
 * @throws SecretsError NotFound, Denied, Usage; Invalid for a named file that is recognised as something other than a
 *   log
 */
export async function verifyLog(options: VerifyOptions): Promise<Summary> {
  const isPart = options.files.every(isClosedName);
  const { parts, heads } = await openParts(options.files, options.headFolder);
  const { head, second } = heads;
  const known: Known[] = [...options.anchors];
  known.push(...headsKnown(heads));
  const verifier = new ChainVerifier(trustIn(options.keys), known, isPart);
  try {
    const exposed: Problem[] = [];
    for (const { fd, path } of parts) exposed.push(...exposure(fstatSync(fd), path));
    for (const part of parts) checkForm(part, verifier, options.named === true);
    const total = parts.reduce((sum, { size }) => sum + size, 0);
    let before = 0;
    let torn = false;
    const piece = Buffer.allocUnsafe(PIECE);
    for (const part of parts) {
      const rest = await readLines(
        part,
        piece,
        verifier,
        (done) => options.progress(before + done, total),
        options.signal,
      );
      before += part.size;
      if (rest.bytes === 0) continue;
      if (part.current) torn = true;
      else
        verifier.report({
          kind: 'truncated',
          file: part.path,
          line: rest.line,
          message: 'the last line has no end',
        });
    }
    const summary = verifier.end();
    const notices = [...summary.notices];
    const problems = [...summary.problems, ...exposed];
    if (torn) {
      const end = { seq: summary.last ?? 0, hash: summary.lastHash ?? '' };
      const ends = [head, typeof second === 'object' ? second.head : undefined];
      // A writer died while writing. If no head is ahead of the log, no caller was told that the record had been
      // written.
      if (ends.some((one) => one !== undefined) && !ends.some((one) => isAhead(one, end)))
        notices.push('the last line has no end: a writer died; the next one will say so and go on');
      else
        problems.push({
          kind: 'truncated',
          file: parts.find(({ current }) => current)?.path ?? '',
          message: 'the last line has no end',
          acceptable: true,
        });
    }
    if (!isPart) judgeHeads(heads, summary, problems, notices);
    return { ...summary, problems, notices };
  } finally {
    for (const { fd } of parts) closeSync(fd);
  }
}

function headsKnown({ head, second }: Heads): readonly Known[] {
  const apart = typeof second === 'object' ? second.head : undefined;
  const isSame = head?.seq === apart?.seq && head?.hash === apart?.hash;
  const known: Known[] = [];
  if (head !== undefined)
    known.push({ ...head, from: isSame ? 'the head file and the second head' : 'the head file', own: true });
  if (apart !== undefined && !isSame) known.push({ ...apart, from: 'the second head', own: true });
  return known;
}

/** Judges heads that are missing or lag behind. */
function judgeHeads(
  { head, second, secondPath }: Heads,
  { last = 0, secondHead }: Summary,
  problems: Problem[],
  notices: string[],
): void {
  if (head === undefined && last > 0) notices.push('the head file is missing, or damaged');
  if (secondPath === undefined) return;
  if (typeof second === 'object') {
    const behind = last - second.head.seq;
    if (behind > 0) notices.push(`the second head is ${behind} behind the log`);
  } else if (secondHead === secondHeadId(secondPath))
    problems.push({
      kind: 'truncated',
      file: secondPath,
      message: `the second head is ${second === 'none' ? 'missing' : 'damaged, or open to others'}: the log may have lost its end`,
      acceptable: true,
    });
  else
    notices.push(
      'no second head is kept here for this log: an end that was cut off together with the head file, or a folder that was brought back from a copy, is found by an anchor alone',
    );
}

/** Says what the file is if it isn't a log; otherwise each of its lines would be reported as a changed record. */
function checkForm({ fd, path, size }: Part, verifier: ChainVerifier, isNamed: boolean): void {
  const form = size === 0 ? undefined : foreignForm(readFully(fd, 0, Math.min(size, FORM_BYTES)));
  if (form === undefined) return;
  const message = `not an audit log but ${form.what}`;
  if (isNamed) throw new SecretsError('Invalid', `${message}: ${path}`, { hint: form.hint });
  verifier.report({ kind: 'changed', file: path, message });
}

/** Opens all files while no writer is active, because a rotation would rename them. */
async function openParts(
  files: readonly string[],
  headFolder: string | undefined,
): Promise<{ readonly parts: readonly Part[]; readonly heads: Heads }> {
  const current = files.filter((file) => !isClosedName(file));
  if (current.length > 1)
    throw new SecretsError('Usage', 'name one log, or closed files of one log', {
      hint: `these are two: ${current
        .slice(0, 2)
        .map((path) => basename(path))
        .join(', ')}`,
    });
  const [path] = current;
  const release = path === undefined ? undefined : await lockFor(path);
  const parts: Part[] = [];
  const open = (name: string, isCurrent: boolean): void => {
    const fd = openAny(name);
    if (fd !== undefined) parts.push({ fd, path: name, size: fstatSync(fd).size, current: isCurrent });
    else if (!isCurrent) throw new SecretsError('NotFound', `file not found: ${name}`);
  };
  try {
    const closed = new Map(
      (path === undefined ? [] : closedFiles(path)).map((file) => [file.path, file.from] as const),
    );
    for (const file of files) if (isClosedName(file)) closed.set(file, firstSeq(file));
    for (const [name] of [...closed].toSorted(([, one], [, other]) => one - other)) open(name, false);
    if (path !== undefined) open(path, true);
    const heads = headsOf(path, headFolder);
    // If a head exists, the log has disappeared, which is different from never having existed.
    if (parts.length === 0 && heads.head === undefined && typeof heads.second === 'string') {
      throw new SecretsError('NotFound', `no audit log: ${path ?? ''}`, {
        hint: 'the first command that accesses a secret creates it',
      });
    }
    for (const name of [path === undefined ? undefined : namesOf(path).head, heads.secondPath]) {
      const fd = name === undefined ? undefined : openHead(name);
      // Only their mode is checked.
      if (fd !== undefined) parts.push({ fd, path: name as string, size: 0, current: false });
    }
    return { parts, heads };
  } catch (thrown) {
    for (const { fd } of parts) closeSync(fd);
    throw fileError(thrown, 'cannot read the audit log', path ?? files[0] ?? '');
  } finally {
    release?.();
  }
}

function headsOf(path: string | undefined, headFolder: string | undefined): Heads {
  if (path === undefined) return { head: undefined, second: 'none', secondPath: undefined };
  const fd = openHead(namesOf(path).head);
  try {
    const head = fd === undefined ? undefined : parseHead(fd);
    const secondPath = headFolder === undefined ? undefined : secondHeadPath(headFolder, path);
    const second = secondPath === undefined ? 'none' : readSecondHead(secondPath, 'any');
    return { head, second, secondPath };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Anything but a regular file, such as a link, counts as missing. @throws SecretsError */
function openHead(path: string): number | undefined {
  try {
    return openAny(path);
  } catch (thrown) {
    if (codeOf(thrown) === 'ELOOP' || thrown instanceof SecretsError) return undefined;
    throw fileError(thrown, 'cannot read a head of the audit log', path);
  }
}

function firstSeq(path: string): number {
  return Number(/-(\d+)-\d+\.jsonl$/.exec(path)?.[1] ?? 0);
}

/** Undefined for a copy on a read-only medium, which has no writers. */
async function lockFor(path: string): Promise<(() => void) | undefined> {
  try {
    const lock = await takeLock(namesOf(path).lock, LOCK_WAIT_MS);
    return 'release' in lock ? () => lock.release() : undefined;
  } catch (thrown) {
    if (['EACCES', 'EROFS', 'EPERM', 'ENOENT', 'ENOTDIR', 'ENOSPC', 'EDQUOT'].includes(codeOf(thrown) ?? ''))
      return undefined;
    throw fileError(thrown, 'cannot lock the audit log', path);
  }
}

/** Feeds the lines to the verifier, using `piece` as buffer. @returns what follows the last line end */
async function readLines(
  { fd, path, size }: Part,
  piece: Buffer,
  verifier: ChainVerifier,
  progress: (done: number) => void,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly line: number }> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 0;
  for (let done = 0; done < size;) {
    signal.throwIfAborted();
    const read = readSync(fd, piece, 0, Math.min(PIECE, size - done), done);
    if (read === 0) break;
    done += read;
    let from = 0;
    for (;;) {
      const end = piece.subarray(0, read).indexOf(0x0a, from);
      if (end < 0) break;
      let bytes: Buffer = piece.subarray(from, end);
      if (rest.length > 0) bytes = Buffer.concat([rest, bytes]);
      rest = Buffer.alloc(0);
      from = end + 1;
      line += 1;
      verifier.add(isUtf8(bytes) ? bytes.toString('utf8') : '', { file: path, line });
    }
    rest = Buffer.concat([rest, piece.subarray(from, read)]);
    if (rest.length > LONGEST_LINE) {
      verifier.report({
        kind: 'changed',
        file: path,
        line: line + 1,
        message: 'the line is longer than any record',
      });
      return { bytes: 0, line };
    }
    progress(done);
    // Lets signals be handled.
    await new Promise(setImmediate);
  }
  return { bytes: rest.length, line: line + 1 };
}

function exposure(stats: Stats, path: string): readonly Problem[] {
  const own = process.getuid?.();
  if ((stats.mode & 0o077) !== 0)
    return [
      {
        kind: 'exposed',
        file: path,
        message: `the file is open to other users (mode ${(stats.mode & 0o777).toString(8)}); run: chmod 600 ${path}`,
      },
    ];
  if (own !== undefined && stats.uid !== own)
    return [{ kind: 'exposed', file: path, message: `the file belongs to another user (uid ${stats.uid})` }];
  return [];
}
