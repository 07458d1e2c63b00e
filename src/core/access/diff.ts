/** A change of a policy as lines to read: what goes, what comes, and what stays around it. */
import type { AccessEdit } from './plan.ts';

/** Unchanged lines shown before and after a change. */
const AROUND = 3;
/** A comparison takes the product of both lengths; a longer policy is shown as replaced. */
const MOST_LINES = 2000;

export function diffLines({ place, before, after }: AccessEdit): readonly string[] {
  const [old, fresh] = [linesOf(before), linesOf(after)];
  const body = shortened(compared(old, fresh));
  return [
    `--- ${before === undefined ? 'none' : place}`,
    `+++ ${after === undefined ? 'none' : place}`,
    ...body,
  ];
}

/** JSON on one line is laid out for reading; only here, never when it is written. */
function linesOf(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  if (!text.includes('\n'))
    try {
      return JSON.stringify(JSON.parse(text), null, 2).split('\n');
    } catch {
      // Not JSON: shown as it is.
    }
  return text.replace(/\n$/, '').split('\n');
}

/** The longest common subsequence, as lines that start with ` `, `-` or `+`. */
function compared(old: readonly string[], fresh: readonly string[]): readonly string[] {
  if (old.length > MOST_LINES || fresh.length > MOST_LINES)
    return [...old.map((line) => `-${line}`), ...fresh.map((line) => `+${line}`)];
  const width = fresh.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1)
    for (let j = fresh.length - 1; j >= 0; j -= 1)
      lengths[i * width + j] =
        old[i] === fresh[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) {
      lines.push(` ${old[i]}`);
      i += 1;
      j += 1;
    } else if (j >= fresh.length || (i < old.length && at(i + 1, j) >= at(i, j + 1))) {
      lines.push(`-${old[i]}`);
      i += 1;
    } else {
      lines.push(`+${fresh[j]}`);
      j += 1;
    }
  }
  return lines;
}

/** Leaves out unchanged lines that are far from any change. */
function shortened(lines: readonly string[]): readonly string[] {
  const isNear = lines.map((_, index) =>
    lines.slice(Math.max(0, index - AROUND), index + AROUND + 1).some((line) => !line.startsWith(' ')),
  );
  return lines.flatMap((line, index) => {
    if (isNear[index] === true) return [line];
    return index === 0 || isNear[index - 1] === true ? [' …'] : [];
  });
}
