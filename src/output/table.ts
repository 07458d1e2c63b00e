/** Rows as aligned columns for people, or tab-separated for pipes. */
import type { Output } from './output.ts';
import { singleLine } from '../core/text/sanitize.ts';
import { styleFor } from './style.ts';

/** Prints rows to stdout. Cells come from backends and are cleaned here. */
export async function printTable(
  output: Output,
  head: readonly string[],
  rows: readonly (readonly string[])[],
): Promise<void> {
  const clean = rows.map((row) => row.map(singleLine));
  if (output.world.stdout.isTTY !== true) {
    await output.print(clean.map((row) => `${row.join('\t')}\n`).join(''));
    return;
  }
  const [{ default: Table }, style] = await Promise.all([
    import('cli-table3'),
    styleFor(output, output.world.stdout),
  ]);
  const none = '';
  const table = new Table({
    head: head.map((title) => style.bold(title)),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: {
      top: none,
      'top-mid': none,
      'top-left': none,
      'top-right': none,
      bottom: none,
      'bottom-mid': none,
      'bottom-left': none,
      'bottom-right': none,
      left: none,
      'left-mid': none,
      mid: none,
      'mid-mid': none,
      right: none,
      'right-mid': none,
      middle: none,
    },
  });
  table.push(...clean.map((row) => [...row]));
  await output.print(`${table.toString().replace(/[ \t]+$/gm, '')}\n`);
}

/** A date for people: `2026-11-23 21:04Z`; empty if there is none. */
export function shortDate(date: Date | undefined): string {
  return date === undefined ? '' : `${date.toISOString().slice(0, 16).replace('T', ' ')}Z`;
}
