/** GitHub Actions: tells the runner which values to mask in every later line of the log. */
import { fstatSync, readlinkSync } from 'node:fs';
import { MIN_SECRET_BYTES, partsOf } from '../core/secret-forms.ts';
import type { OutputStream, World } from '../world.ts';

/**
 * Registers values with `::add-mask::`, whole and line by line (GitHub docs: workflow commands, "Masking a value
 * in a log"). The runner reads commands from both streams of a step, so they go where they can't end up in
 * somebody's file: to stdout if it is the very stream of our parent (not `> file`, `| tool` or `$(…)`), else to
 * stderr, unless that is a file.
 * @returns false when neither stream leads to the runner
 * @param only `stderr` when stdout holds a result
 */
export async function registerMasks(
  world: World,
  values: Iterable<Uint8Array>,
  only?: 'stderr',
): Promise<boolean> {
  const sink =
    only === undefined && sharedWithParent(1) ? world.stdout : isFile(2) ? undefined : world.stderr;
  if (sink === undefined) return false;
  const lines = new Set<string>();
  for (const value of values) {
    for (const part of [value, ...partsOf(value)].flatMap(linesOf)) {
      if (Buffer.byteLength(part) >= MIN_SECRET_BYTES && part.trim() !== '')
        lines.add(`::add-mask::${escapeData(part)}\n`);
    }
  }
  if (lines.size > 0) await write(sink, [...lines].join(''));
  return true;
}

/** The text as a whole and line by line. */
function linesOf(value: Uint8Array): readonly string[] {
  const text = Buffer.from(value).toString('utf8');
  return [text, ...text.split(/\r?\n/)];
}

/** The escapes of a workflow command's data, in the toolkit's order. */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function sharedWithParent(fd: number): boolean {
  try {
    return (
      readlinkSync(`/proc/self/fd/${fd}`) === readlinkSync(`/proc/${process.ppid}/fd/${fd}`) && !isFile(fd)
    );
  } catch {
    return false;
  }
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile();
  } catch {
    return true;
  }
}

function write(sink: OutputStream, text: string): Promise<void> {
  return new Promise((resolve) => sink.write(text, () => resolve()));
}
