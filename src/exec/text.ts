/**
 * Node.js decodes arguments and variables as UTF-8 and replaces invalid bytes with U+FFFD, so they can't be passed on
 * unchanged. This module detects them.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { SecretsError } from '../core/errors.ts';

const REPLACEMENT = '\ufffd';

/**
 * Rejects arguments that the program would receive altered, for example as the name of a different file.
 * @throws SecretsError Usage
 */
export function checkArguments(args: readonly string[]): void {
  if (!args.some((text) => text.includes(REPLACEMENT)) || isUtf8(initial('cmdline'))) return;
  throw new SecretsError('Usage', 'an argument of the program is not UTF-8 and can’t be handed on as it is', {
    hint: 'let a shell create it: secrets exec -- sh -c …',
  });
}

/** The names of inherited variables that aren't UTF-8. */
export function unreadableVariables(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  if (!Object.values(env).some((value) => value?.includes(REPLACEMENT) === true)) return [];
  return entriesOf(initial('environ'))
    .filter((entry) => !isUtf8(entry))
    .map((entry) => entry.toString('utf8').split('=', 1)[0] as string);
}

function entriesOf(block: Buffer): readonly Buffer[] {
  const entries: Buffer[] = [];
  for (let from = 0; from < block.length;) {
    const end = block.indexOf(0, from);
    entries.push(block.subarray(from, end === -1 ? block.length : end));
    from = end === -1 ? block.length : end + 1;
  }
  return entries;
}

/** The arguments or environment of this process, byte for byte (proc_pid_cmdline(5), proc_pid_environ(5)). */
function initial(what: 'cmdline' | 'environ'): Buffer {
  try {
    return readFileSync(`/proc/self/${what}`);
  } catch {
    return Buffer.alloc(0);
  }
}
