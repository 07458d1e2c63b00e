/** GitHub Actions: tells the runner which values to mask in the rest of the log. */
import { constants, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { MIN_SECRET_BYTES, partsOf } from '../core/redaction/secret-forms.ts';
import type { OutputStream, World } from '../platform/world.ts';

/** The runner's program, which starts the steps of a job and reads their output. */
const RUNNER = 'Runner.Worker';

/** Where the command may go. */
export interface MaskStreams {
  /** `--mask-on-stderr`: the user says that stderr leads to the runner. */
  readonly maskOnStderr?: boolean | undefined;
  readonly stdoutIsResult?: boolean;
}

/**
 * Registers values with `::add-mask::`, whole and line by line (GitHub docs: workflow commands, "Masking a value in a
 * log"). The command itself contains the values, so it is written only to a pipe whose other end is known to be the
 * runner's: not to a file, another program's pipe, `$(…)` or `tee`, anywhere in a script.
 * @returns false if no stream is known to lead to the runner: in a container, or without /proc
 */
export async function registerMasks(
  world: World,
  values: Iterable<Uint8Array>,
  { maskOnStderr = false, stdoutIsResult = false }: MaskStreams = {},
): Promise<boolean> {
  const pipes = runnerPipes();
  const leads = (fd: number): boolean => pipes.has(pipeOf('self', String(fd)) ?? '');
  const sink =
    !stdoutIsResult && leads(1) ? world.stdout : maskOnStderr || leads(2) ? world.stderr : undefined;
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

/** Mask of the access mode (fcntl.h of Linux). */
const O_ACCMODE = 3;

/** The warning if they could not be registered. */
export const NOT_REGISTERED =
  'the values are not registered with the runner (::add-mask::): its log can’t be told from a pipe or file here';

/** The pipes that the runner above this process has open. Empty if no runner is found. */
function runnerPipes(): ReadonlySet<string> {
  for (let pid = process.ppid; pid > 0;) {
    const stat = statOf(pid);
    if (stat === undefined) break;
    if (stat.name === RUNNER) return pipesOf(pid);
    pid = stat.parent;
  }
  return new Set();
}

/** A process's name and parent: proc_pid_stat(5). */
function statOf(pid: number): { readonly name: string; readonly parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const end = stat.lastIndexOf(')');
    const [, parent] = stat.slice(end + 2).split(' ');
    return { name: stat.slice(stat.indexOf('(') + 1, end), parent: Number(parent) };
  } catch {
    return undefined;
  }
}

function pipesOf(pid: number): ReadonlySet<string> {
  try {
    const found = readdirSync(`/proc/${pid}/fd`).map((fd) => readEnd(pid, fd));
    return new Set(found.filter((pipe) => pipe !== undefined));
  } catch {
    return new Set();
  }
}

/** The pipe that a descriptor reads from; undefined if it doesn't read from one. */
function readEnd(pid: number, fd: string): string | undefined {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '1';
    return (Number.parseInt(flags, 8) & O_ACCMODE) === constants.O_RDONLY ? pipeOf(pid, fd) : undefined;
  } catch {
    return undefined;
  }
}

function pipeOf(pid: number | 'self', fd: string): string | undefined {
  try {
    const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
    return target.startsWith('pipe:') ? target : undefined;
  } catch {
    return undefined;
  }
}

function linesOf(value: Uint8Array): readonly string[] {
  const text = Buffer.from(value).toString('utf8');
  return [text, ...text.split(/\r?\n/)];
}

/** Escapes the data of a workflow command, in the same order as GitHub's toolkit. */
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function write(sink: OutputStream, text: string): Promise<void> {
  return new Promise((resolve) => sink.write(text, () => resolve()));
}
