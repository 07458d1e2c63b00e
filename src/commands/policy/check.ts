import { resolve } from 'node:path';
import { EXIT_CODES, SecretsError, toSecretsError } from '../../core/errors.ts';
import type { PolicyProblem } from '../../core/policy/problems.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { findPolicies } from '../../policy/find.ts';
import { readPolicy } from '../../policy/read.ts';
import { policyTextOf, reviewPolicies } from '../../policy/review.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';

/** A file, and how to read it. */
interface Source {
  readonly path: string;
  readonly read: () => Promise<string>;
}

interface Checked {
  readonly file: string;
  readonly policies: number;
  readonly problems: readonly PolicyProblem[];
}

export async function run(session: Session, { args, options }: Invocation<CommonOptions>): Promise<number> {
  const { stores } = await session.config();
  const checked: Checked[] = [];
  for (const { path, read } of await sourcesOf(session, args)) {
    const text = await read().catch(toSecretsError);
    if (text instanceof SecretsError) {
      // A file that was named must be there.
      if (args.length > 0) throw text;
      const { message, hint } = text;
      checked.push({
        file: path,
        policies: 0,
        problems: [{ line: 1, column: 1, severity: 'error', message, hint }],
      });
    } else {
      const { rules, problems } = reviewPolicies(text, stores);
      checked.push({ file: path, policies: rules.length, problems });
    }
  }
  await report(session, checked, options);
  const isWrong = checked.some(({ problems }) => problems.some(({ severity }) => severity === 'error'));
  return isWrong ? EXIT_CODES.Policy : 0;
}

async function sourcesOf(session: Session, args: readonly string[]): Promise<readonly Source[]> {
  const { world } = session;
  if (args.length > 0)
    return args.map((arg) => ({ path: arg, read: () => policyTextOf(resolve(world.cwd, arg)) }));
  return findPolicies(world, await session.config()).map((place) => ({
    path: place.path,
    read: async () => readPolicy(world, place),
  }));
}

async function report(session: Session, checked: readonly Checked[], { json }: CommonOptions): Promise<void> {
  if (json === true) return session.printJson(checked);
  if (checked.length === 0) return session.note('no policy file is in use: everything is allowed');
  for (const { file, policies, problems } of checked) {
    for (const { line, column, severity, message, hint } of problems)
      await session.print(
        `${singleLine(`${file}:${line}:${column}: ${severity}: ${message}${hint === undefined ? '' : `; ${hint}`}`)}\n`,
      );
    if (problems.length === 0)
      session.note(`${file}: ${policies} ${policies === 1 ? 'policy' : 'policies'}, no problem`);
  }
}
