/** Every program that is started while a line of bash runs, however short it lives: its arguments and environment. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Outcome, Place } from './program.ts';

/** One start of a program, as strace(1) shows it. */
export interface Started {
  /** Its arguments, joined by spaces. */
  readonly command: string;
  readonly args: string;
  readonly environment: string;
}

export async function traceExec(
  place: Place,
  line: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly result: Outcome; readonly started: readonly Started[] }> {
  const file = join(place.root, 'trace');
  // The filter of the kernel's lets all other calls pass without the tracer.
  const result = await place.sh(
    `exec strace -f --seccomp-bpf -qq -v -s 1000000 -e trace=execve,execveat -e signal=none -o '${file}' bash -c "$LINE"`,
    { ...env, LINE: line },
  );
  return { result, started: readFileSync(file, 'latin1').split('\n').flatMap(parse) };
}

/** `PID execve("file", ["arg", …], ["NAME=value", …]) = 0`; strings are escaped as in C. */
function parse(line: string): Started[] {
  const match = /execve(?:at)?\((?:\w+, )?"(?:\\.|[^"\\])*", \[(.*?)\], \[(.*)\]/.exec(line);
  if (match === null) return [];
  const [, args = '', environment = ''] = match;
  const words = [...args.matchAll(/"((?:\\.|[^"\\])*)"/g)].map(([, word = '']) =>
    word.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char)),
  );
  return [{ command: words.join(' '), args, environment }];
}
