/** What is to be done about a rotation that did not come to a new value: a command that works from where it stopped. */
import { SecretsError, type ErrorDetails, type ErrorKind } from '../core/errors.ts';
import type { Ending, Intent } from '../core/rotation/machine.ts';
import type { Verdict } from './target.ts';

/** The target answered that it doesn't take this value. Its kind and words say, as ever, whether that is certain. */
export class ValueRefused extends SecretsError {
  /** The target says that it had the value before; else that may be the reason. */
  readonly repeated: boolean;

  constructor(kind: ErrorKind, message: string, details: ErrorDetails, repeated = false) {
    super(kind, message, details);
    this.repeated = repeated;
  }
}

export interface Stopped {
  readonly reference: string;
  readonly ending: Ending;
  readonly intent: Intent;
  readonly toPrevious: boolean;
  /** The last value that the target did not take, and why. */
  readonly refused: { readonly value: 'old' | 'new'; readonly error: ValueRefused } | undefined;
}

/** What the target says of the two values where the rotation stopped; `undefined`: it could not be asked. */
export type Verdicts = Readonly<Record<'old' | 'new', Verdict | undefined>>;

export function goOn(reference: string): string {
  return `secrets rotate resume ${reference} finishes it, secrets rotate rollback ${reference} undoes it`;
}

/**
 * The next step, where it is another one than the two ways that lead on from every stop: a target that takes no value
 * twice, for one, can't be set back.
 * @param ask called only where what the target says decides
 */
export async function wayOn(stopped: Stopped, ask: () => Promise<Verdicts>): Promise<string | undefined> {
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
  // Who began it can still go both ways when it was the new value that was refused.
  if (ending !== 'stuck' || (value === 'new' && intent !== 'resume')) return undefined;
  const verdicts = await ask();
  const again = value === 'old' ? rollback : resume;
  if (verdicts[value] === 'accepted')
    return `the target has this value already: let its apply succeed then (http: ok, program: exit code 0), and run ${again}`;
  if (value === 'old')
    return verdicts.new === 'refused' ? error.hint : `the target can’t be set back: ${resume} finishes it`;
  if (error.repeated && verdicts.old === 'accepted') return `${rollback} undoes it`;
  return error.repeated ? error.hint : undefined;
}
