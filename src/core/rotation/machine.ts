/**
 * The rotation of one secret as a state machine: pure, without I/O, clock or memory.
 *
 * Each state has one effect, which the engine (src/rotation/engine.ts) performs; the effect's outcome is the event
 * that leads to the next state. Nothing is ever resumed from a recorded state. After a crash, `resume` or `rollback`
 * starts afresh and determines the situation by reading the store and asking the target:
 *
 * - The store's current version is the old credential, until the promotion.
 * - The store's pending version is both the claim and the new credential; it is durable before the target learns of
 *   it.
 * - Only the target knows which of the two it accepts, and only for now: a change sent by an earlier run may take
 *   effect at any later time. So no conclusion is drawn from a sign-in that an earlier run may have caused. The run
 *   that continues sets the credential again, which queues behind late changes, and then verifies.
 *
 * The invariant, explored exhaustively in tests/core/rotation/machine.test.ts: at every moment, whatever has failed,
 * died or arrives late, a credential that the target accepts can be read from the store: as current or pending, and
 * if the target has no fence against late changes, as the previous version or the one that was set aside. The table
 * below is the machine; the diagram in docs/rotation.md is generated from it.
 */

/** What to do. `rotate` starts a rotation; the others continue an unfinished one. */
export type Intent = 'rotate' | 'resume' | 'rollback';

/** What doesn't change during a run. */
export interface Plan {
  readonly intent: Intent;
  /** The target creates the credential itself (an access key); the claim is staged before the credential exists. */
  readonly issues: boolean;
}

/**
 * The outcome of an effect. `failed`: it certainly didn't happen. `unclear`: it may have happened. `lost`: somebody
 * else has the claim by now. `none`: there is nothing of this kind. The others are self-explanatory.
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
  /** Read the store: is a rotation in progress? `none`, `held`, `failed`. */
  | 'look'
  /** Generate the new credential without storing or sending it. `ok`, `failed`. */
  | 'prepare'
  /**
   * Store it as pending, if nothing is pending. `ok`, `held`, `failed`, `unclear`. `promoted`: in a store that can't
   * keep a pending version before the first value, that value is current at once; only for a target that is never
   * sent anything.
   */
  | 'claim'
  /** Read the store after a claim whose outcome is unclear. `mine`, `held`, `none`, `promoted`, `failed`. */
  | 'confirm-claim'
  /**
   * Take over the pending version of a run that died. `unissued`: it is only a claim; `promoted`: it is already
   * current. `ok`, `none`, `held`, `failed`.
   */
  | 'take-over'
  /** Let the target create a credential. `ok`, `failed`, `unclear`, `lost`. */
  | 'issue'
  /** Replace the claim with it. `ok`, `lost`, `failed`, `unclear`. */
  | 'store-issued'
  /** Read the pending version back: what is applied is what the store has. `ok`, `lost`, `failed`. */
  | 'read-back'
  /** `ok`, `failed`, `unclear`, `lost`. */
  | 'apply-new'
  /** `accepted`, `refused`, `unknown` (the target can't be asked), `failed`. */
  | 'verify-new'
  /** Make the pending version current. `ok`, `lost`, `failed`, `unclear`. */
  | 'promote'
  /**
   * Read the store after a promotion whose outcome is unclear. `promoted`, `mine` (still pending), `lost`, `failed`.
   */
  | 'confirm-promotion'
  /** Record the date and retire what was replaced. `ok`, `failed`. */
  | 'finish'
  | 'verify-old'
  /** `ok`, `failed` (also if unclear), `lost`. */
  | 'apply-old'
  /** Make the target forget the new credential, if it can. `ok`, `failed`, `lost`. */
  | 'retire-new'
  /**
   * Remove the pending version. If a late change may still make the target accept it, it stays readable elsewhere.
   * `ok`, `lost`, `failed` (also if unclear).
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
  /** Somebody else is rotating it. */
  | 'held'
  /** There is no rotation to continue, and the target accepts the current credential, as far as it can be asked. */
  | 'nothing'
  /** There is no rotation to continue, and the target refuses the current credential. */
  | 'refused'
  /** Somebody else has taken over this rotation meanwhile. */
  | 'lost'
  /** The pending version stays: `resume` or `rollback` continues. */
  | 'stuck';

interface Step {
  readonly effect: Effect;
  readonly on: Partial<Record<Event, StateName>>;
}

/** States are named after what is in progress. If the plan decides what comes next, the name is that of a fork. */
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
  /** After an `apply` that failed: an earlier one may have succeeded, which the target can tell. */
  probing: {
    effect: 'verify-new',
    on: { accepted: 'acceptedAnyway', refused: 'givenUp', unknown: 'givenUp', failed: 'stuck' },
  },
  /**
   * After an `apply` without a response. Even if refused now, it may still take effect: nothing is given up before
   * the lease ends.
   */
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
  /** Only once: after two lost responses from the store, stop. */
  promotingAgain: {
    effect: 'promote',
    on: { ok: 'finishing', lost: 'lost', failed: 'stuck', unclear: 'stuck' },
  },
  // Current and accepted. What remains is cleanup, which the next run repeats if it fails.
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
  /** No rotation is in progress. That is fine only if the current credential works. */
  askingCurrent: {
    effect: 'verify-old',
    on: { accepted: 'nothing', unknown: 'nothing', refused: 'refused', failed: 'unchanged' },
  },
  /** The new credential is current, but a late change may have revoked it. If so, it is applied again. */
  askingPromoted: {
    effect: 'verify-old',
    on: { accepted: 'tidying', unknown: 'tidying', refused: 'readingBack', failed: 'stuck' },
  },
  /** The new credential is current, and an interrupted promotion has left its pending version behind. */
  tidying: { effect: 'discard', on: { ok: 'finishing', lost: 'lost', failed: 'stuck' } },
  /** After an `apply` of this run that certainly didn't happen, the first of its rotation: no change is outstanding. */
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

/** Points where the plan decides; they have no effect of their own. */
const FORKS = {
  /** If the target creates the credential, it doesn't exist yet. */
  claimed: ({ issues }: Plan) => (issues ? 'issuing' : 'readingBack'),
  /** How far the dead run got, and what is still on its way, is unknown: everything is done again. */
  tookOver: ({ intent }: Plan) => (intent === 'rollback' ? 'restoring' : 'readingBack'),
  /** The pending version is only a claim. */
  tookOverUnissued: ({ intent }: Plan) => (intent === 'rollback' ? 'restoring' : 'issuing'),
  /**
   * A resumed run can't distinguish an earlier change that succeeded from one that a still earlier change may yet
   * replace.
   */
  acceptedAnyway: ({ intent }: Plan) => (intent === 'rotate' ? 'promoting' : 'stuck'),
  /** If the target refuses, a new rotation is rolled back at once; a resumed one is left for the user to decide. */
  givenUp: ({ intent }: Plan) => (intent === 'rotate' ? 'askingOld' : 'stuck'),
  /** As above, but something was sent: the old credential is set, whatever the target says about it now. */
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

export function begin({ intent }: Plan): State {
  return intent === 'rotate' ? 'looking' : 'takingOver';
}

export function effectOf(state: Working): Effect {
  return STEPS[state].effect;
}

/** The possible events of this state's effect. */
export function eventsOf(state: Working): readonly Event[] {
  return Object.keys(STEPS[state].on) as Event[];
}

/** The next state. @throws TypeError for an event that the state's effect can't have, which is a bug */
export function next(plan: Plan, state: Working, event: Event): State {
  const to = (STEPS[state] as Step).on[event];
  if (to === undefined) throw new TypeError(`the rotation can't have ${event} while ${state}`);
  return Object.hasOwn(FORKS, to) ? FORKS[to as Fork](plan) : (to as State);
}

/** Every transition, for the diagram and the tests. Forks appear as states, with the plan as the event. */
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
      // Starting a rotation never involves a takeover.
      if (from.startsWith('tookOver') && plan.intent === 'rotate') continue;
      const to = decide(plan);
      by.set(to, [...(by.get(to) ?? []), name]);
    }
    for (const [to, names] of by) found.push({ from, on: summary(names), to });
  }
  for (const ending of ENDINGS) found.push({ from: ending, on: '', to: '[*]' });
  return found;
}

/** `rotate` for `rotate` and `rotate, issued`; `issued` for the issued variant of every intent. */
function summary(names: readonly string[]): string {
  const issued = names.filter((name) => name.endsWith(', issued'));
  const plain = names.filter((name) => !name.endsWith(', issued'));
  if (issued.length === 0) return 'generated';
  if (plain.length === 0) return 'issued';
  return plain.join(', ');
}

export function diagram(): string {
  const lines = transitions().map(({ from, on, to }) => `  ${from} --> ${to}${on === '' ? '' : `: ${on}`}\n`);
  return `stateDiagram-v2\n${lines.join('')}`;
}
