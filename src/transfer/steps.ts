/** The steps of a copy, planned or done, and how they are printed. Contains names and keys, never a value. */
import { combineErrors, SecretsError } from '../core/errors.ts';
import { singleLine } from '../core/text/sanitize.ts';
import { compact } from '../output/shapes.ts';
import { printTable } from '../output/table.ts';
import type { Session } from '../session/session.ts';

/** `skip`: the source has no value yet. */
export type Action = 'create' | 'update' | 'delete' | 'same' | 'skip' | 'failed';

export interface Step {
  readonly action: Action;
  /** References, as the user would write them. */
  readonly source: string | undefined;
  readonly target: string;
  /** Names of the changed keys, if both sides have keys. */
  readonly keys?: readonly string[] | undefined;
  /** For an import: the names in the file that the secret takes. */
  readonly names?: readonly string[] | undefined;
  /** The target exists and gets its first value. */
  readonly isFirstValue?: boolean | undefined;
  /** The number of versions to write (`--history`). */
  readonly versions?: number | undefined;
  readonly error?: SecretsError | undefined;
}

const PAST: Readonly<Record<Action, string>> = {
  create: 'created',
  update: 'updated',
  delete: 'deleted',
  same: 'same',
  skip: 'skipped',
  failed: 'failed',
};

/** Counts each action that occurs, most important first: `2 created, 1 same`. */
export function countText(steps: readonly Step[], done: boolean): string {
  const actions: readonly Action[] = ['create', 'update', 'delete', 'same', 'skip', 'failed'];
  const parts = actions.flatMap((action) => {
    const count = steps.filter((step) => step.action === action).length;
    return count === 0
      ? []
      : [`${count} ${done ? PAST[action] : action === 'failed' ? 'failed' : `to ${action}`}`];
  });
  return parts.join(', ').replace('to same', 'the same') || 'nothing to do';
}

/** One line for each planned step that changes something. */
export function planLines(steps: readonly Step[]): string[] {
  return steps
    .filter(({ action }) => action !== 'same' && action !== 'skip')
    .map((step) => singleLine(`${step.action}  ${step.target}${sourceText(step)}${detailText(step)}`));
}

function sourceText({ source }: Step): string {
  return source === undefined ? '' : ` from ${source}`;
}

function detailText({ action, keys, names, versions, isFirstValue }: Step): string {
  const parts = [
    ...(action === 'skip' ? ['no value yet'] : []),
    ...(isFirstValue === true ? ['first value'] : []),
    ...(versions !== undefined && versions > 1 ? [`${versions} versions`] : []),
    ...(names !== undefined && names.length > 0 ? [`takes ${names.join(', ')}`] : []),
    ...(keys !== undefined && keys.length > 0 ? [`keys ${keys.join(', ')}`] : []),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

/**
 * Prints the report (for a dry run, the plan) to stdout, and fails if a step failed.
 * @throws SecretsError Partial, or the kind that all steps failed with
 */
export async function report(session: Session, steps: readonly Step[], dryRun: boolean): Promise<void> {
  const word = (action: Action): string => (dryRun ? action : PAST[action]);
  if (session.options.json === true) {
    await session.printJson({
      ...(dryRun && { dryRun }),
      secrets: steps.map(({ action, source, target, names, keys, versions, error }) =>
        compact({ action: word(action), source, target, names, keys, versions, error: error?.message }),
      ),
    });
  } else {
    const rows = steps
      .filter(({ action, names }) => action !== 'failed' && (action !== 'same' || names !== undefined))
      .map((step) => [word(step.action), step.target, step.source ?? '', detailText(step).trim()]);
    if (rows.length > 0) await printTable(session, ['ACTION', 'SECRET', 'FROM', 'DETAILS'], rows);
    session.note(countText(steps, !dryRun));
  }
  failIfAny(steps);
}

/** @throws SecretsError when a step failed */
export function failIfAny(steps: readonly Step[]): void {
  const errors = steps.flatMap(({ error }) => (error === undefined ? [] : [error]));
  if (errors.length === 0) return;
  if (errors.length < steps.length)
    throw new SecretsError('Partial', `${errors.length} of ${steps.length} secrets failed`, { errors });
  throw combineErrors(errors, `all of ${errors.length} secrets failed`);
}
