/** How a command reports a change, or with `--dry-run` what it would change. */
import type { Output } from './output.ts';
import { singleLine } from '../core/text/sanitize.ts';

export interface Outcome {
  readonly text: string;
  readonly json: object;
  readonly dryRun: boolean;
}

/**
 * `--json` prints the object. Otherwise a dry run's line is the result and goes to stdout, while "done" is a note
 * that only a terminal shows.
 */
export async function tell(output: Output, { text, json, dryRun }: Outcome): Promise<void> {
  if (output.options.json === true) await output.printJson({ ...json, ...(dryRun && { dryRun }) });
  else if (dryRun) await output.print(`${singleLine(text)}\n`);
  else output.note(text);
}
