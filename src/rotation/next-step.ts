/** The next step after a rotation that ended without a new value: a command that works from where it stopped. */
import { SecretsError, type ErrorDetails, type ErrorKind } from '../core/errors.ts';
import type { Ending, Intent } from '../core/rotation/machine.ts';
import type { Verdict } from './target.ts';

/** The target answered that it rejects this value. As usual, kind and message say whether that is certain. */
export class ValueRefused extends SecretsError {
  /** The target says that it had the value before; otherwise this is only a possible reason. */
  readonly repeated: boolean;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails, repeated = false) {
    super(kind, message, details);
    this.repeated = repeated;
  }
}

export interface StoppedRotation {
  readonly reference: string;
  readonly ending: Ending;
  readonly intent: Intent;
  readonly toPrevious: boolean;
  /** The last value that the target rejected, and its error. */
  readonly refused: { readonly value: 'old' | 'new'; readonly error: ValueRefused } | undefined;
}

export function resumeOrRollback(reference: string): string {
  return `secrets rotate resume ${reference} finishes it, secrets rotate rollback ${reference} undoes it`;
}

/**
 * The next step, if it isn't the usual choice between resume and rollback: a target that accepts no value twice, for
 * example, can't be set back.
 * @param ask the target's verdict on a value after the rotation stopped, `undefined` if it could not be asked; only
 *   called if the answer depends on it
 */
export async function nextStep(
  stopped: StoppedRotation,
  ask: (value: 'old' | 'new') => Promise<Verdict | undefined>,
): Promise<string | undefined> {
  const { reference, ending, intent, toPrevious, refused } = stopped;
  if (refused === undefined) return undefined;
  const { value, error } = refused;
  const resume = `secrets rotate resume ${reference}`;
  const rollback = `secrets rotate rollback ${reference}`;
  if (ending === 'undone') {
    const anew = `secrets rotate ${reference} makes another value`;
    if (error.repeated) return anew;
    return toPrevious ? `if the target takes no value twice, ${anew}` : undefined;
  }
  // If the new value was rejected in the first run, both resume and rollback are still possible.
  if (ending !== 'stuck' || (value === 'new' && intent !== 'resume')) return undefined;
  const again = value === 'old' ? rollback : resume;
  if ((await ask(value)) === 'accepted')
    return `the target has this value already: let its apply succeed then (http: ok, program: exit code 0), and run ${again}`;
  if (value === 'old') {
    // Nobody could be asked: both ways may still be open.
    const verdict = await ask('new');
    if (verdict === undefined && !error.repeated) return undefined;
    return verdict === 'refused' ? error.hint : `the target can’t be set back: ${resume} finishes it`;
  }
  if (!error.repeated) return undefined;
  return (await ask('old')) === 'accepted' ? `${rollback} undoes it` : error.hint;
}
