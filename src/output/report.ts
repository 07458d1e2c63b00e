/** Writes an error to stderr: on one line, as JSON with `--json`, and with its causes with `--debug`. */
import type { OutputOptions } from './output.ts';
import type { SecretsError } from '../core/errors.ts';
import type { World } from '../platform/world.ts';
import { clean, learnSpellings, shownName } from './confidential.ts';
import { jsonText, singleLine } from '../core/text/sanitize.ts';

/** The error on one line: the reference, what failed, and what to do. */
export function errorLine(error: SecretsError, world: Pick<World, 'env'>): string {
  const where = error.reference === undefined ? '' : `${cut(shownName(error.reference))}: `;
  const next = error.hint === undefined ? '' : `; ${cut(clean(error.hint, world))}`;
  return singleLine(`${where}${cut(clean(error.message, world))}${next}`);
}

/** Longest part of an error, because texts from servers and files can be of any length. */
const MAX_PART = 2000;

function cut(text: string): string {
  return text.length > MAX_PART ? `${text.slice(0, MAX_PART)}… (${text.length} characters)` : text;
}

/** The error as JSON; schemas/error.schema.json describes it. */
export function errorJson(error: SecretsError, world: Pick<World, 'env'>): object {
  return {
    kind: error.kind,
    message: singleLine(cut(clean(error.message, world))),
    ...(error.reference !== undefined && { reference: cut(shownName(error.reference)) }),
    ...(error.hint !== undefined && { hint: singleLine(cut(clean(error.hint, world))) }),
    exitCode: error.exitCode,
    ...(error.errors.length > 0 && { errors: error.errors.map((one) => errorJson(one, world)) }),
  };
}

/** Writes an error with values and credentials masked. */
export async function reportError(world: World, error: SecretsError, options: OutputOptions): Promise<void> {
  await learnSpellings(world);
  if (options.json === true) {
    world.stderr.write(`${jsonText({ error: errorJson(error, world) })}\n`);
  } else {
    world.stderr.write(`secrets: ${errorLine(error, world)}\n`);
    for (const single of error.errors) world.stderr.write(`secrets:   ${errorLine(single, world)}\n`);
  }
  if (options.debug === true)
    for (const line of causeLines(error)) world.stderr.write(`secrets: debug: ${line}\n`);
}

/** The causes by name, code and stack; not their messages, because a library's message may quote its input. */
function causeLines(error: SecretsError): string[] {
  const lines: string[] = [];
  let here: unknown = error;
  for (let depth = 0; here instanceof Error && depth < 8; depth += 1) {
    const code = (here as NodeJS.ErrnoException).code;
    const frames = (here.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    lines.push(singleLine(`${here.name}${code === undefined ? '' : ` ${code}`}`), ...frames.slice(0, 6));
    here = here.cause;
  }
  return lines;
}
