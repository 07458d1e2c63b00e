/** Reads an env file completely, or fails with the first line that it can't read. */
import { SecretsError } from '../../core/errors.ts';
import { type FileProblems, lineAt } from '../problems.ts';
import { type Assignment, type Dialect, DIALECTS, readDialect } from './dialects.ts';
import type { EnvFileProblem } from './scanner.ts';

export interface EnvFile {
  /** Values by name, in the order of the file. */
  readonly values: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

const CHOOSE = 'name the reader that the file is for: --dialect docker-compose, dotenv, python or shell';

/**
 * The variables of an env file. With a dialect, they have the values that its parser gives them. Without one, all
 * parsers have to agree on the file, and each name has to occur once.
 * @throws SecretsError Invalid, with `file:line`; never a value
 */
export function readEnvFile(text: string, problems: FileProblems, dialect: Dialect | undefined): EnvFile {
  if (text.includes('\0')) throw problems.at(lineAt(text, text.indexOf('\0')), 'has a NUL byte');
  const encrypted = encryptedLine(text);
  if (encrypted !== undefined) throw problems.at(lineAt(text, encrypted.at), encrypted.why);
  const assignments = dialect === undefined ? agreed(text, problems) : named(text, problems, dialect);
  const values = new Map<string, string>();
  const lines = new Map<string, number>();
  const warnings: string[] = [];
  for (const { name, value, line } of assignments) {
    const first = lines.get(name);
    if (first !== undefined) {
      if (dialect === undefined)
        throw problems.at(line, `${name} is on line ${first} already`, `keep one of them, or ${CHOOSE}`);
      warnings.push(`${problems.file}:${line}: ${name} is on line ${first} too; the later line counts`);
    }
    lines.set(name, line);
    values.set(name, value);
  }
  if (values.size === 0) throw new SecretsError('Invalid', `${problems.file} has no NAME=VALUE line`);
  return { values, warnings };
}

function named(text: string, problems: FileProblems, dialect: Dialect): readonly Assignment[] {
  const { assignments, problem } = readDialect(text, dialect);
  if (problem !== undefined) throw problems.at(problem.line, problem.message);
  return assignments;
}

interface Reading {
  readonly dialect: Dialect;
  readonly assignments: readonly Assignment[];
  readonly problem: EnvFileProblem | undefined;
}

function agreed(text: string, problems: FileProblems): readonly Assignment[] {
  const readings = DIALECTS.map((dialect): Reading => ({ dialect, ...readDialect(text, dialect) }));
  const [first, ...others] = readings as [Reading, ...Reading[]];
  const agree = (index: number): boolean =>
    others.every(({ assignments }) => {
      const [one, other] = [first.assignments[index], assignments[index]];
      return one?.name === other?.name && one?.value === other?.value && one?.line === other?.line;
    });
  const longest = Math.max(...readings.map(({ assignments }) => assignments.length));
  let same = 0;
  while (same < longest && agree(same)) same += 1;
  if (same === longest && readings.every(({ problem }) => problem === undefined)) return first.assignments;
  throw dissent(problems, readings, same);
}

/** The error for the first statement that the parsers read differently. */
function dissent(problems: FileProblems, readings: readonly Reading[], index: number): SecretsError {
  const failed = readings.filter(
    ({ assignments, problem }) => assignments.length === index && problem !== undefined,
  );
  const line = Math.min(
    ...readings.flatMap(({ assignments, problem }) => assignments[index]?.line ?? problem?.line ?? []),
  );
  const [problem] = failed.map((one) => one.problem as EnvFileProblem);
  const sameProblem = failed.every((one) => one.problem?.message === problem?.message);
  if (problem !== undefined && failed.length === readings.length && sameProblem)
    return problems.at(problem.line, problem.message);
  if (problem !== undefined) {
    const who =
      failed.length === readings.length ? '' : ` (${failed.map(({ dialect }) => dialect).join(', ')})`;
    return problems.at(problem.line, `${problem.message}${who}`, `${problem.fix}, or ${CHOOSE}`);
  }
  const name = readings.find(({ assignments }) => assignments[index] !== undefined)?.assignments[index]?.name;
  return problems.at(line, `${name}: ${groupsOf(readings, index)}`, `quote the value, or ${CHOOSE}`);
}

/** `docker-compose and python read one value, dotenv and shell another`: who agrees with whom. */
function groupsOf(readings: readonly Reading[], index: number): string {
  const groups = new Map<string, string[]>();
  for (const { dialect, assignments } of readings) {
    const { name, value } = assignments[index] ?? { name: '', value: '' };
    const key = JSON.stringify([name, value]);
    groups.set(key, [...(groups.get(key) ?? []), dialect]);
  }
  const [most = [], others = [], ...more] = [...groups.values()].toSorted((a, b) => b.length - a.length);
  if (more.length > 0) return `${listOf(DIALECTS)} disagree on its value`;
  return `${listOf(most)} read one value, ${listOf(others)} another`;
}

function listOf(names: readonly string[]): string {
  return names.length === 1 ? `${names[0]}` : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** Files with encrypted values that only their own tool can read. */
const ENCRYPTED: readonly (readonly [RegExp, string])[] = [
  [
    /^[ \t]*(?:export[ \t]+)?(?:DOTENV_PUBLIC_KEY\w*[ \t]*=|[\w.-]+[ \t]*=[ \t]*["'`]?encrypted:[A-Za-z0-9+/]{16})/m,
    'is a dotenvx file with encrypted values: decrypt it first, with dotenvx decrypt',
  ],
  [
    /^[ \t]*(?:export[ \t]+)?DOTENV_VAULT\w*[ \t]*=/m,
    'is an encrypted .env.vault: import the .env file it was made from',
  ],
  [
    /^[ \t]*(?:sops_(?:mac|version|lastmodified)[ \t]*=|[\w.-]+[ \t]*=[ \t]*["']?ENC\[AES256_GCM,)/m,
    'is encrypted by sops: decrypt it first, with sops decrypt',
  ],
];

function encryptedLine(text: string): { readonly at: number; readonly why: string } | undefined {
  for (const [pattern, why] of ENCRYPTED) {
    const found = pattern.exec(text);
    if (found !== null) return { at: found.index + (/\S/.exec(found[0])?.index ?? 0), why };
  }
  return undefined;
}
