/** Looks for a canary, in every form it may take, where it does not belong. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { sized } from '../size.ts';

/** Between two looks. */
const PAUSE_MS = sized(25, 5);

/** The value as it is, in base64 at each of the three alignments, and in hex; all as latin-1 text. */
export function formsOf(canary: string): readonly string[] {
  const raw = Buffer.from(canary);
  const forms = [canary, raw.toString('hex'), raw.toString('hex').toUpperCase(), encodeURIComponent(canary)];
  for (let offset = 0; offset < 3; offset += 1) {
    const shifted = Buffer.concat([Buffer.alloc(offset), raw]);
    // Only the characters that the canary's own bits decide.
    const certain = shifted
      .toString('base64')
      .slice(Math.ceil((offset * 8) / 6), Math.floor((shifted.length * 8) / 6));
    forms.push(certain);
  }
  return [...new Set(forms)];
}

/**
 * The plain hashes that are in use for passwords and files, in hex and base64: whoever guesses the value can tell by
 * one whether the guess is right.
 */
export function hashesOf(canary: string): readonly string[] {
  const texts = [canary, `${canary}\n`, JSON.stringify(canary), JSON.stringify({ key: canary })];
  return texts.flatMap((text) =>
    ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256'].flatMap((algorithm) => {
      const digest = createHash(algorithm).update(text).digest();
      const hex = digest.toString('hex');
      // Cut to half they are still a check.
      return [hex, hex.toUpperCase(), digest.toString('base64'), digest.toString('base64url')].map((image) =>
        image.slice(0, 16),
      );
    }),
  );
}

export function holds(text: string, forms: readonly string[]): boolean {
  return forms.some((form) => text.includes(form));
}

/** A process whose command line, environment or title held a canary. */
export interface Sighting {
  readonly pid: number;
  readonly where: 'cmdline' | 'environ' | 'comm';
  readonly command: string;
}

/**
 * Reads every process that is there since the work began, over and over while it runs: to those that were there before
 * nobody hands arguments or an environment any more. Processes of which `expected` is true may hold the canary in their
 * environment (the program that exec starts), never in their arguments.
 */
export async function watchProcesses<T>(
  start: () => Promise<T>,
  forms: readonly string[],
  expected: (command: string) => boolean,
): Promise<{
  readonly result: T;
  readonly sightings: readonly Sighting[];
  readonly seen: ReadonlySet<string>;
}> {
  const sightings = new Map<string, Sighting>();
  const seen = new Set<string>();
  const state = { running: true };
  const before = new Set(readdirSync('/proc'));
  const done = start().finally(() => {
    state.running = false;
  });
  while (state.running) {
    for (const entry of readdirSync('/proc'))
      if (/^\d+$/.test(entry) && !before.has(entry)) look(Number(entry), forms, expected, sightings, seen);
    // Leaves the processor to the work: what lives for less than that is for strace to find.
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return { result: await done, sightings: [...sightings.values()], seen };
}

function look(
  pid: number,
  forms: readonly string[],
  expected: (command: string) => boolean,
  sightings: Map<string, Sighting>,
  seen: Set<string>,
): void {
  const commandLine = (): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  const command = commandLine();
  if (command === '') return;
  seen.add(command);
  for (const where of ['cmdline', 'environ', 'comm'] as const) {
    if (!holds(read(`/proc/${pid}/${where}`), forms)) continue;
    // A process that replaces itself (execve) between the two reads has the other program's environment.
    if (where === 'environ' && (expected(command) || expected(commandLine()))) continue;
    sightings.set(`${pid} ${where}`, { pid, where, command });
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // It ended meanwhile, or belongs to somebody else.
    return '';
  }
}

/** Every file (name or content) and link under the folders that holds a form. */
export function findFiles(
  folders: readonly string[],
  forms: readonly string[],
  allowed: readonly string[] = [],
): string[] {
  const found: string[] = [];
  const walk = (path: string): void => {
    const stats = lstatSync(path);
    if (holds(path, forms)) found.push(path);
    else if (stats.isSymbolicLink() && holds(readlinkSync(path), forms)) found.push(path);
    else if (stats.isFile() && !allowed.includes(path) && holds(readFileSync(path, 'latin1'), forms))
      found.push(path);
    if (stats.isDirectory()) for (const entry of readdirSync(path)) walk(join(path, entry));
  };
  for (const folder of folders) walk(folder);
  return found;
}

/** What leaks.test.ts runs of the commands about access: the local store has none, and what they refuse shows no value. */
export const ACCESS = [
  { covers: 'access', line: 'secrets access --help' },
  { covers: 'access list', line: 'secrets access list local://a', exit: 2 },
  { covers: 'access grant', line: 'secrets access grant user:alice local://a', exit: 2 },
  { covers: 'access revoke', line: 'secrets access revoke user:alice local://a', exit: 2 },
  { covers: 'access policy', line: 'secrets access policy --for exec local://a', exit: 2 },
  { covers: 'access check', line: 'secrets access check self local://a', exit: 2 },
  { covers: 'policy', line: 'secrets policy --help' },
  { covers: 'policy init', line: 'secrets policy init --user --dry-run' },
  { covers: 'policy check', line: 'secrets policy check' },
  { covers: 'policy list', line: 'secrets policy list' },
  { covers: 'policy explain', line: 'secrets policy explain get a' },
  { covers: 'policy test', line: 'secrets policy test', exit: 3 },
] as const;
