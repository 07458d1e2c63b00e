/**
 * The rotation of one secret as a state machine: pure, without I/O, clock or memory of its own.
 *
 * Each state has one effect, which the engine (src/rotation/engine.ts) carries out; its outcome is the event that
 * leads to the next state. Nothing is ever resumed from a recorded state. Whoever goes on after a crash starts anew
 * with `resume` or `rollback` and finds out by looking at the store and asking the target:
 *
 * - The store's current version is the old credential, until the promotion.
 * - The store's pending version is the claim, and the new credential; it is durable before the target hears of it.
 * - Only the target knows which of the two it accepts, and only for now: a change that an earlier run sent may take
 *   effect at any later moment. So nothing is concluded from a sign-in that an earlier run may have brought about.
 *   Whoever goes on sets the credential again, which queues behind what is late, and verifies after that.
 *
 * The invariant, explored exhaustively in tests/core/rotation/machine.test.ts: at every moment, whatever has failed, died or
 * arrives late, a credential that the target accepts is readable in the store: as current or as pending, and where
 * the target has no fence against late changes, as the previous version or as the one that was put aside. The table
 * below is the machine; the diagram in docs/rotation.md is made from it.
 */

/** What is to be done. `rotate` begins a rotation; the others go on with one that somebody left. */
export type Intent = 'rotate' | 'resume' | 'rollback';

/** What never changes during one run. */
export interface Plan {
  readonly intent: Intent;
  /** The target makes the credential itself (an access key); the claim is staged before it is there. */
  readonly issues: boolean;
}

/**
 * What an effect came to. `failed`: it certainly did not take place. `unclear`: it may have. `lost`: the claim is
 * somebody else's by now. `none`: there is nothing of this kind. The rest speaks for itself.
 */
export type Event =
  | 'ok'
  | 'failed'
  | 'unclear'
  | 'lost'
  | 'none'
  | 'held'
  | 'mine'
  | 'accepted'
  | 'refused'
  | 'unknown'
  | 'unissued'
  | 'promoted';

/** What the engine does in a state. */
export type Effect =
  /** Read the store: is a rotation under way? `none`, `held`, `failed`. */
  | 'look'
  /** Make the new credential, without a trace anywhere. `ok`, `failed`. */
  | 'prepare'
  /**
   * Store it as pending, if nothing is pending. `ok`, `held`, `failed`, `unclear`. `promoted`: a first value, in a store
   * that keeps nothing pending before it, is current at once; only for a target that is never sent anything.
   */
  | 'claim'
  /** Read the store after a claim in doubt. `mine`, `held`, `none`, `promoted`, `failed`. */
  | 'confirm-claim'
  /**
   * Take over the pending version of whoever died. `unissued`: it is a claim alone; `promoted`: it is what is
   * current already. `ok`, `none`, `held`, `failed`.
   */
  | 'take-over'
  /** Let the target make a credential. `ok`, `failed`, `unclear`, `lost`. */
  | 'issue'
  /** Put it in the place of the claim. `ok`, `lost`, `failed`, `unclear`. */
  | 'store-issued'
  /** Read the pending version back: what is applied is what the store has. `ok`, `lost`, `failed`. */
  | 'read-back'
  /** `ok`, `failed`, `unclear`, `lost`. */
  | 'apply-new'
  /** `accepted`, `refused`, `unknown` (the target has no way to ask), `failed`. */
  | 'verify-new'
  /** Make the pending version current. `ok`, `lost`, `failed`, `unclear`. */
  | 'promote'
  /** Read the store after a promotion in doubt. `promoted`, `mine` (still pending), `lost`, `failed`. */
  | 'confirm-promotion'
  /** Note the date, retire what has been replaced. `ok`, `failed`. */
  | 'finish'
  | 'verify-old'
  /** `ok`, `failed` (also when in doubt), `lost`. */
  | 'apply-old'
  /** Have the target forget the new credential, where it can. `ok`, `failed`, `lost`. */
  | 'retire-new'
  /**
   * Remove the pending version. Where a late change may still make the target accept it, it stays readable elsewhere.
   * `ok`, `lost`, `failed` (also when in doubt).
   */
  | 'discard';

/** How a run ends. */
export type Ending =
  /** The new credential is current and accepted. */
  | 'done'
  /** The old credential is current and accepted; nothing is pending. */
  | 'undone'
  /** Nothing was changed anywhere. */
  | 'unchanged'
  /** Somebody else rotates it. */
  | 'held'
  /** There is no rotation to go on with, and the target accepts the current credential as far as it can be asked. */
  | 'nothing'
  /** There is no rotation to go on with, and the target refuses the current credential. */
  | 'refused'
  /** Somebody else has taken this rotation over meanwhile. */
  | 'lost'
  /** The pending version stays: `resume` or `rollback` goes on. */
  | 'stuck';

interface Step {
  readonly effect: Effect;
  readonly on: Partial<Record<Event, StateName>>;
}

/** Names are what is going on. Where the plan decides what comes next, the name is that of a fork. */
const STEPS = {
  looking: { effect: 'look', on: { none: 'preparing', held: 'held', failed: 'unchanged' } },
  preparing: { effect: 'prepare', on: { ok: 'claiming', failed: 'unchanged' } },
  claiming: {
    effect: 'claim',
    on: {
      ok: 'claimed',
      promoted: 'finishing',
      held: 'held',
      failed: 'unchanged',
      unclear: 'confirmingClaim',
    },
  },
  confirmingClaim: {
    effect: 'confirm-claim',
    on: { mine: 'claimed', promoted: 'finishing', held: 'held', none: 'unchanged', failed: 'stuck' },
  },
  readingBack: { effect: 'read-back', on: { ok: 'applying', lost: 'lost', failed: 'stuck' } },
  issuing: {
    effect: 'issue',
    on: { ok: 'storingIssued', failed: 'givenUp', unclear: 'stuck', lost: 'lost' },
  },
  storingIssued: {
    effect: 'store-issued',
    on: { ok: 'readingBack', lost: 'lost', failed: 'stuck', unclear: 'readingBack' },
  },
  applying: {
    effect: 'apply-new',
    on: { ok: 'verifying', failed: 'probing', unclear: 'probingInDoubt', lost: 'lost' },
  },
  verifying: {
    effect: 'verify-new',
    on: { accepted: 'promoting', unknown: 'promoting', refused: 'notTaken', failed: 'stuck' },
  },
  /** After an `apply` that failed: an earlier one may have been made, and the target says so. */
  probing: {
    effect: 'verify-new',
    on: { accepted: 'acceptedAnyway', refused: 'givenUp', unknown: 'givenUp', failed: 'stuck' },
  },
  /** After an `apply` without an answer. Refused now, it may still arrive: nothing is given up before the lease ends. */
  probingInDoubt: {
    effect: 'verify-new',
    on: { accepted: 'promoting', refused: 'stuck', unknown: 'stuck', failed: 'stuck' },
  },
  promoting: {
    effect: 'promote',
    on: { ok: 'finishing', lost: 'lost', failed: 'stuck', unclear: 'confirmingPromotion' },
  },
  confirmingPromotion: {
    effect: 'confirm-promotion',
    on: { promoted: 'finishing', mine: 'promotingAgain', lost: 'lost', failed: 'stuck' },
  },
  /** Once: a store that loses two answers is left alone. */
  promotingAgain: {
    effect: 'promote',
    on: { ok: 'finishing', lost: 'lost', failed: 'stuck', unclear: 'stuck' },
  },
  // Current and accepted: what is left to do is a matter of tidiness, and is done again by whoever comes next.
  finishing: { effect: 'finish', on: { ok: 'done', failed: 'done' } },

  takingOver: {
    effect: 'take-over',
    on: {
      ok: 'tookOver',
      unissued: 'tookOverUnissued',
      promoted: 'askingPromoted',
      none: 'askingCurrent',
      held: 'held',
      failed: 'stuck',
    },
  },
  /** Nothing is under way. That is good news only if the current credential works. */
  askingCurrent: {
    effect: 'verify-old',
    on: { accepted: 'nothing', unknown: 'nothing', refused: 'refused', failed: 'unchanged' },
  },
  /** The new credential is current; a change that came late may have ended it. Then it is applied again. */
  askingPromoted: {
    effect: 'verify-old',
    on: { accepted: 'tidying', unknown: 'tidying', refused: 'readingBack', failed: 'stuck' },
  },
  /** The new credential is current, and a promotion that broke off has left its pending version behind. */
  tidying: { effect: 'discard', on: { ok: 'finishing', lost: 'lost', failed: 'stuck' } },
  /** After an `apply` of this run that certainly was not made, the first of its rotation: nothing is on its way. */
  askingOld: {
    effect: 'verify-old',
    on: { accepted: 'retiringNew', refused: 'restoring', unknown: 'restoring', failed: 'stuck' },
  },
  restoring: { effect: 'apply-old', on: { ok: 'verifyingOld', failed: 'stuck', lost: 'lost' } },
  verifyingOld: {
    effect: 'verify-old',
    on: { accepted: 'retiringNew', unknown: 'retiringNew', refused: 'stuck', failed: 'stuck' },
  },
  retiringNew: { effect: 'retire-new', on: { ok: 'discarding', failed: 'stuck', lost: 'lost' } },
  discarding: { effect: 'discard', on: { ok: 'undone', lost: 'lost', failed: 'stuck' } },
} as const satisfies Readonly<Record<string, { effect: Effect; on: Partial<Record<Event, string>> }>>;

/** Points where the plan decides; each has no effect of its own. */
const FORKS = {
  /** A credential that the target makes is not there yet. */
  claimed: ({ issues }: Plan) => (issues ? 'issuing' : 'readingBack'),
  /** What the one who died had reached, nobody knows, nor what is still on its way: it is done again. */
  tookOver: ({ intent }: Plan) => (intent === 'rollback' ? 'restoring' : 'readingBack'),
  /** The pending version is the claim alone. */
  tookOverUnissued: ({ intent }: Plan) => (intent === 'rollback' ? 'restoring' : 'issuing'),
  /** Whoever resumes can't tell an earlier change that was made from one that a still earlier one may yet replace. */
  acceptedAnyway: ({ intent }: Plan) => (intent === 'rotate' ? 'promoting' : 'stuck'),
  /** A rotation that its target refuses is undone at once; one that somebody resumes is left for them to decide. */
  givenUp: ({ intent }: Plan) => (intent === 'rotate' ? 'askingOld' : 'stuck'),
  /** As above, but something was sent: the old credential is set, whatever the target says of it now. */
  notTaken: ({ intent }: Plan) => (intent === 'rotate' ? 'restoring' : 'stuck'),
} as const satisfies Readonly<Record<string, (plan: Plan) => string>>;

export const ENDINGS = [
  'done',
  'undone',
  'unchanged',
  'held',
  'nothing',
  'refused',
  'lost',
  'stuck',
] as const satisfies readonly Ending[];

export type Working = keyof typeof STEPS;
export type Fork = keyof typeof FORKS;
export type StateName = Working | Fork | Ending;
/** Where a run can be between two effects. */
export type State = Working | Ending;

export function isEnding(state: State): state is Ending {
  return (ENDINGS as readonly string[]).includes(state);
}

/** Where a run begins. */
export function begin({ intent }: Plan): State {
  return intent === 'rotate' ? 'looking' : 'takingOver';
}

/** What is to be done in this state. */
export function effectOf(state: Working): Effect {
  return STEPS[state].effect;
}

/** The events that this state's effect may have. */
export function eventsOf(state: Working): readonly Event[] {
  return Object.keys(STEPS[state].on) as Event[];
}

/** The next state. @throws TypeError for an event that the state's effect can't have: an error of ours */
export function next(plan: Plan, state: Working, event: Event): State {
  const to = (STEPS[state] as Step).on[event];
  if (to === undefined) throw new TypeError(`the rotation can't have ${event} while ${state}`);
  return Object.hasOwn(FORKS, to) ? FORKS[to as Fork](plan) : (to as State);
}

/** Every transition, for the diagram and the tests: forks as states, with the plan as the event. */
export function transitions(): readonly {
  readonly from: string;
  readonly on: string;
  readonly to: string;
}[] {
  const found: { from: string; on: string; to: string }[] = [
    { from: '[*]', on: 'rotate', to: begin({ intent: 'rotate', issues: false }) },
    { from: '[*]', on: 'resume, rollback', to: begin({ intent: 'resume', issues: false }) },
  ];
  for (const [from, { on }] of Object.entries(STEPS))
    for (const [event, to] of Object.entries(on)) found.push({ from, on: event, to });
  const plans: readonly (readonly [string, Plan])[] = (['rotate', 'resume', 'rollback'] as const).flatMap(
    (intent) =>
      [false, true].map((issues) => [issues ? `${intent}, issued` : intent, { intent, issues }] as const),
  );
  for (const [from, decide] of Object.entries(FORKS)) {
    const by = new Map<string, string[]>();
    for (const [name, plan] of plans) {
      // A take-over is never part of beginning one.
      if (from.startsWith('tookOver') && plan.intent === 'rotate') continue;
      const to = decide(plan);
      by.set(to, [...(by.get(to) ?? []), name]);
    }
    for (const [to, names] of by) found.push({ from, on: summary(names), to });
  }
  for (const ending of ENDINGS) found.push({ from: ending, on: '', to: '[*]' });
  return found;
}

/** `rotate` for `rotate` and `rotate, issued`; `issued` for that of every intent. */
function summary(names: readonly string[]): string {
  const issued = names.filter((name) => name.endsWith(', issued'));
  const plain = names.filter((name) => !name.endsWith(', issued'));
  if (issued.length === 0) return 'generated';
  if (plain.length === 0) return 'issued';
  return plain.join(', ');
}

/** The machine as a Mermaid diagram. */
export function diagram(): string {
  const lines = transitions().map(({ from, on, to }) => `  ${from} --> ${to}${on === '' ? '' : `: ${on}`}\n`);
  return `stateDiagram-v2\n${lines.join('')}`;
}
