/** The format of tests/e2e/scenarios/*.txt; README.md beside this file explains it to people. */
import type { Outcome, Place } from './program.ts';

export interface Step {
  /** Line of the file, from 1. */
  readonly line: number;
  readonly script: string;
  readonly stdout: readonly string[];
  readonly stdoutMatches: readonly string[];
  readonly stderrMatches: readonly string[];
  readonly exit: number;
}

export interface Scenario {
  readonly title: string;
  /** Stores it is run with, one after the other. */
  readonly stores: readonly string[];
  readonly steps: readonly Step[];
}

type Draft = { -readonly [K in keyof Step]: Step[K] extends readonly string[] ? string[] : Step[K] };

/** @throws Error naming the line that can't be read */
export function parseScenario(file: string, text: string): Scenario {
  let title = file;
  let stores: readonly string[] = ['local'];
  const steps: Draft[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const step = steps.at(-1);
    const header = /^(title|stores|needs): *(.*)$/.exec(line);
    if (line.startsWith('#') || (line === '' && (step === undefined || isLast(text, index)))) continue;
    if (line.startsWith('$ ')) {
      steps.push({
        line: index + 1,
        script: line.slice(2),
        stdout: [],
        stdoutMatches: [],
        stderrMatches: [],
        exit: 0,
      });
    } else if (step === undefined) {
      if (header === null)
        throw new Error(`${file}:${index + 1}: a scenario starts with "title:" or "$ command"`);
      const [, name, value = ''] = header;
      if (name === 'title') title = value;
      else stores = value.split(/[\s,]+/);
    } else if (line.startsWith('> ') || line === '>') {
      step.script += `\n${line.slice(2)}`;
    } else {
      addExpectation(step, line);
    }
  }
  if (steps.length === 0) throw new Error(`${file}: no step`);
  // A blank line before the next command separates steps; it is not output.
  for (const step of steps) while (step.stdout.at(-1) === '') step.stdout.pop();
  return { title, stores, steps };
}

function isLast(text: string, index: number): boolean {
  return index === text.split('\n').length - 1;
}

function addExpectation(step: Draft, line: string): void {
  const exit = /^exit (\d+)$/.exec(line);
  const match = /^(stdout|stderr) ~ (.*)$/.exec(line);
  if (exit !== null) step.exit = Number(exit[1]);
  else if (match?.[1] === 'stdout') step.stdoutMatches.push(match[2] as string);
  else if (match !== null) step.stderrMatches.push(match[2] as string);
  else step.stdout.push(line.startsWith('\\') ? line.slice(1) : line);
}

/** Runs every step in one place. @throws Error at the first step that goes otherwise than written */
export async function play(
  scenario: Scenario,
  file: string,
  place: Place,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  for (const step of scenario.steps) {
    const outcome = await place.sh(step.script, env);
    const problem = findProblem(step, outcome);
    if (problem === undefined) continue;
    throw new Error(
      [
        `${file}:${step.line}: ${problem}`,
        `$ ${step.script}`,
        `exit ${outcome.code}`,
        `--- stdout\n${outcome.stdout}`,
        `--- stderr\n${outcome.stderr}`,
      ].join('\n'),
    );
  }
}

function findProblem(step: Step, { stdout, stderr, code }: Outcome): string | undefined {
  if (code !== step.exit) return `exit code ${code} instead of ${step.exit}`;
  for (const pattern of step.stdoutMatches) {
    if (!new RegExp(pattern, 'm').test(stdout)) return `stdout does not match ${pattern}`;
  }
  const plain = stdout.replace(/\n$/, '');
  const expected = step.stdout.join('\n');
  if ((step.stdoutMatches.length === 0 || expected !== '') && plain !== expected) return 'stdout differs';
  for (const pattern of step.stderrMatches) {
    if (!new RegExp(pattern, 'm').test(stderr)) return `stderr does not match ${pattern}`;
  }
  if (step.stderrMatches.length === 0 && stderr !== '') return 'something is on stderr';
  return undefined;
}
