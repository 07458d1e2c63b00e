/** What a rotation came to, for people and for programs. */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { Intent } from '../../core/rotation/machine.ts';
import { compact, failureJson } from '../../output/shapes.ts';
import type { Outcome } from '../../rotation/run.ts';
import type { Holder } from '../../core/rotation/holder.ts';
import type { Delivery, Notifier } from '../../rotation/notify.ts';
import { resumeOrRollback } from '../../rotation/next-step.ts';
import type { Session } from '../../session/session.ts';

export function holderText(holder: Outcome['holder']): string {
  if (holder === undefined) return 'somebody else';
  const since = holder.since === undefined ? '' : ` since ${holder.since.toISOString().slice(0, 19)}Z`;
  return 'host' in holder ? `${holder.user}@${holder.host}${since}` : `somebody else${since}`;
}

export function holderJson(holder: Outcome['holder'] | Holder): object | undefined {
  if (holder === undefined) return undefined;
  const since = holder.since?.toISOString();
  return 'host' in holder
    ? compact({ host: holder.host, user: holder.user, rotation: holder.id, since })
    : compact({ since });
}

const CURRENT_REFUSED =
  'was it changed elsewhere? secrets history shows older versions, secrets rotate rollback --to-previous sets the previous one';

/** The failure that an outcome is, if it is one. */
export function failureOf(reference: string, intent: Intent, outcome: Outcome): SecretsError | undefined {
  const { ending, error, holder, todo } = outcome;
  const why = error === undefined ? '' : `: ${error.message}`;
  switch (ending) {
    case 'done':
    case 'nothing':
      return undefined;
    case 'undone':
      if (intent === 'rollback') return undefined;
      return new SecretsError(
        'Failed',
        `the new value was not accepted, and the old one is in use again${why}`,
        {
          reference,
          hint: todo ?? error?.hint,
          cause: error,
        },
      );
    case 'refused':
      return new SecretsError(
        'Failed',
        `no rotation is under way, and the target refuses the current value`,
        {
          reference,
          hint: error?.hint ?? CURRENT_REFUSED,
          cause: error,
        },
      );
    case 'unchanged':
      return (error ?? new SecretsError('Failed', 'nothing was changed')).forReference(reference);
    case 'held':
      return new SecretsError('Conflict', `a rotation is under way: ${holderText(holder)} holds it`, {
        reference,
        hint: `wait for it; if its holder is dead, ${resumeOrRollback(reference)}`,
        cause: error,
      });
    case 'lost':
      return new SecretsError(
        'Conflict',
        `${holderText(holder)} has taken over this rotation meanwhile, so it was left alone`,
        { reference, hint: 'check its progress with secrets rotate status', cause: error },
      );
    case 'stuck':
      return new SecretsError(error?.kind ?? 'Failed', `the rotation stopped halfway${why}`, {
        reference,
        hint: todo ?? resumeOrRollback(reference),
        cause: error,
      });
  }
}

/** Tells a person how a recovery ended; a script too, that there was nothing to recover: who asks takes it that there is. */
export function tellEnd(session: Session, ending: string, text: string): void {
  if (ending === 'nothing') session.warn(text);
  else session.note(text);
}

export function outcomeText(reference: string, intent: Intent, { ending, currentVersion }: Outcome): string {
  const version = currentVersion === undefined ? '' : `, version ${currentVersion} is current`;
  switch (ending) {
    case 'done':
      return intent === 'rollback'
        ? `${reference}: the new value was current already; --to-previous takes it back`
        : `${reference}: rotated${version}`;
    case 'undone':
      return `${reference}: rolled back${version}`;
    case 'nothing':
      return `${reference}: no rotation is under way`;
    default:
      return `${reference}: ${ending}`;
  }
}

export function outcomeJson(
  reference: string,
  outcome: Outcome,
  failure: SecretsError | undefined,
  notified: readonly Delivery[],
): object {
  const { ending, rotation, currentVersion, holder, events } = outcome;
  return compact({
    reference,
    outcome: ending,
    rotation,
    version: currentVersion,
    holder: holderJson(holder),
    error: failure && failureJson(failure),
    events,
    notified: notified.length === 0 ? undefined : notified,
  });
}

/** Tells who is to be told of it. */
export function tellOf(
  notifier: Notifier,
  reference: string,
  intent: Intent,
  startedAt: Date,
  outcome: Outcome,
  failure: SecretsError | undefined,
): Promise<readonly Delivery[]> {
  const { ending, rotation, before, currentVersion: after, holder } = outcome;
  const told = { outcome: ending, rotation, before, after, holder: holderJson(holder) };
  return notifier.notify({ reference, intent, startedAt, ...told, failure });
}

/** A rotation whose record can't be written: what it came to is said all the same. */
export function notRecorded(
  reference: string,
  failure: SecretsError | undefined,
  thrown: unknown,
): SecretsError {
  const { kind, message } = toSecretsError(thrown);
  if (failure === undefined)
    return new SecretsError(kind, `it is done, and is not recorded: ${message}`, {
      reference,
      hint: 'repair the log; do not repeat the rotation',
      cause: thrown,
    });
  const { hint, message: what } = failure;
  // A failure of the log itself is said once.
  if (what.includes(message)) return failure;
  return new SecretsError(failure.kind, `${what}; and this is not recorded: ${message}`, {
    reference,
    hint,
    cause: failure,
  });
}

/** One line for programs. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
