/** Reviews a policy file for `policy check`: what keeps it from being used, and names that nothing has. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import { SecretsError } from '../core/errors.ts';
import type { PolicyProblem } from '../core/policy/problems.ts';
import type { Rule } from '../core/policy/rules.ts';
import { positionAt } from '../core/policy/source.ts';
import { nearest } from '../core/reference/nearest.ts';
import { utf8 } from '../core/utf8.ts';
import { fileError, isMissing } from '../platform/files.ts';
import { parsePolicies } from './parse.ts';

/** A file that was named, whoever owns it: only its content is looked at. @throws SecretsError */
export async function policyTextOf(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new SecretsError('Usage', `${path} is not a file`);
      const text = utf8(await file.readFile());
      if (text === undefined) throw new SecretsError('Usage', `${path} is not UTF-8`);
      return text;
    } finally {
      await file.close();
    }
  } catch (thrown) {
    if (isMissing(thrown))
      throw new SecretsError('NotFound', `there is no policy ${path}`, {
        hint: 'write one with secrets policy init',
      });
    throw fileError(thrown, 'cannot read the policy', path);
  }
}

/** Sorted by place. */
export function reviewPolicies(
  text: string,
  stores: Config['stores'],
): { readonly rules: readonly Rule[]; readonly problems: readonly PolicyProblem[] } {
  const { rules, problems } = parsePolicies(text);
  const all = [...problems, ...rules.flatMap((rule) => unknownStore(text, rule, stores))];
  return { rules, problems: all.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

/** A store that no secrets.yaml has here. It may be another user's, or on another machine: a warning. */
function unknownStore(
  text: string,
  { scope, line }: Rule,
  stores: Config['stores'],
): readonly PolicyProblem[] {
  if (scope === undefined) return [];
  const name = scope.type === 'Store' ? scope.id : scope.id.split('://', 1)[0];
  // Places that native identifiers name contain a colon.
  if (name === undefined || name.includes(':')) return [];
  const start = text.split('\n', line - 1).join('\n').length;
  const offset = text.indexOf(JSON.stringify(scope.id), start);
  const place = offset === -1 ? { line, column: 1 } : positionAt(text, offset);
  const store = stores.get(name);
  if (store === undefined) {
    const near = nearest(name, stores.keys());
    return [
      {
        ...place,
        severity: 'warning',
        message: `no store here is named ${name}`,
        hint:
          near === undefined ? `the stores are ${[...stores.keys()].join(', ')}` : `did you mean ${near}?`,
      },
    ];
  }
  const isLower = scope.id.slice(name.length) === scope.id.slice(name.length).toLowerCase();
  if (store.provider !== 'azure' || store.settings['names'] === 'mapped' || isLower) return [];
  return [
    {
      ...place,
      severity: 'warning',
      message: 'this never matches: Azure ignores the case of names, and policies get them in lower case',
      hint: 'write it in lower case',
    },
  ];
}
