/** Reads trails that are files line by line, so that a file can have any size. */
import { createReadStream, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { SecretsError } from '../core/errors.ts';
import { fileError } from '../platform/files.ts';
import type { ProviderContext } from './descriptor.ts';
import type { TrailQuery } from './capabilities/trail.ts';

/** Longest line that is parsed, in characters; a longer one counts as unreadable. */
const LONGEST_LINE = 4 * 1024 * 1024;
/** Placeholder for a line that was too long; no valid entry contains it. */
const TOO_LONG = '\u0000';
/** Lines between two progress messages. */
const STEP = 100_000;

/** The lines of a text that arrives in chunks. A line that is too long is replaced by a text that is no valid entry. */
export async function* linesIn(
  pieces: AsyncIterable<string | Uint8Array>,
  longest = LONGEST_LINE,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  let skipping = false;
  for await (const piece of pieces) {
    const text = typeof piece === 'string' ? piece : decoder.decode(piece, { stream: true });
    let at = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', at)) {
      const line = rest + text.slice(at, end);
      yield skipping || line.length > longest ? TOO_LONG : line.endsWith('\r') ? line.slice(0, -1) : line;
      rest = '';
      skipping = false;
      at = end + 1;
    }
    if (!skipping) rest += text.slice(at);
    if (rest.length > longest) {
      skipping = true;
      rest = '';
    }
  }
  if (skipping || rest !== '') yield skipping ? TOO_LONG : rest;
}

/**
 * The lines of a file, decompressed if it is a `.gz`.
 * @param regular reject anything but a regular file
 * @throws SecretsError NotFound, Denied, Invalid
 */
export async function* linesOfFile(path: string, regular: boolean): AsyncGenerator<string> {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined)
      throw new SecretsError('NotFound', `file not found: ${path}`, { hint: 'name the trail’s own file' });
    if (stats.isDirectory() || (regular && !stats.isFile()))
      throw new SecretsError('Invalid', `this is not a regular file: ${path}`);
    const file = createReadStream(path, { highWaterMark: 256 * 1024 });
    if (!path.endsWith('.gz')) yield* linesIn(file);
    else {
      const unpacked = createGunzip();
      file.on('error', (error) => unpacked.destroy(error)).pipe(unpacked);
      try {
        yield* linesIn(unpacked);
      } finally {
        file.destroy();
      }
    }
  } catch (thrown) {
    throw fileError(thrown, 'cannot read the trail', path);
  }
}

/**
 * The lines of a store's trail: those passed with the query, otherwise those of the configured file.
 * @throws SecretsError Usage when there are neither
 */
export function trailLines(
  { lines }: TrailQuery,
  file: string | undefined,
  { cwd, home }: Pick<ProviderContext, 'cwd' | 'home'>,
  what: string,
): AsyncIterable<string> {
  if (lines !== undefined) return lines;
  if (file === undefined)
    throw new SecretsError('Usage', `${what} is a file, which the store’s settings don’t name`, {
      hint: 'pass it with --from FILE (- for stdin), or set trail.file of the store',
    });
  const path = file.startsWith('~/') ? join(home, file.slice(2)) : file;
  return linesOfFile(isAbsolute(path) ? path : join(cwd, path), true);
}

/** Counts readable and unreadable lines. */
export class LineCount {
  #all = 0;
  #bad = 0;
  #lastBad = false;
  readonly #context: Pick<ProviderContext, 'warn' | 'progress'>;
  readonly #what: string;

  /** @param what the expected kind of lines, such as "Vault's audit device" */
  constructor(context: Pick<ProviderContext, 'warn' | 'progress'>, what: string) {
    this.#context = context;
    this.#what = what;
  }

  /** Counts one line. @throws SecretsError Unavailable when `signal` is aborted */
  add(good: boolean, signal: AbortSignal): void {
    if (signal.aborted)
      throw new SecretsError('Unavailable', `the time ran out after ${this.#all} lines of the trail`, {
        hint: 'raise --timeout',
        cause: signal.reason,
      });
    this.#all += 1;
    this.#lastBad = !good;
    if (!good) this.#bad += 1;
    if (this.#all % STEP === 0) this.#context.progress?.(`${this.#all} lines of the trail read`);
  }

  /** Warns about unreadable lines. @throws SecretsError Invalid when no line was readable */
  end(): void {
    if (this.#bad === 0) return;
    if (this.#bad === this.#all)
      throw new SecretsError('Invalid', `none of ${this.#all} lines is of ${this.#what}`, {
        hint: 'check that it is the right file',
      });
    const cut = this.#lastBad ? ', the last one maybe since it is being written' : '';
    this.#context.warn(
      `${this.#bad} of ${this.#all} lines are not from ${this.#what} and were skipped${cut}`,
    );
  }
}
