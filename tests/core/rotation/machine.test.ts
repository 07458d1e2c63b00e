/**
 * The rotation's machine against a model of the world: a store with a current and a pending version, a target that
 * accepts some credentials, and everything that can go wrong. All of what can be reached is explored, not a sample:
 * every order of successes, failures, lost answers, deaths of the process, later runs that resume or roll back, and
 * changes that take effect long after whoever sent them is gone.
 */
import { readFileSync } from 'node:fs';
import {
  begin,
  diagram,
  type Effect,
  effectOf,
  ENDINGS,
  type Event,
  eventsOf,
  type Intent,
  isEnding,
  next,
  type Plan,
  type State,
  transitions,
  type Working,
} from '../../../src/core/rotation/machine.ts';

/**
 * `older`: what an earlier rotation issued, which was rolled back. `claim`: the old credential with a mark, as it
 * stands in for one that the target has yet to make. `none`: there is no value yet.
 */
type Name = 'old' | 'new' | 'older' | 'claim' | 'none';
type Credential = Exclude<Name, 'claim'>;
/** A change that was sent and has not taken effect: that the target accepts this, or forgets it. */
type Change = `set ${Credential}` | `forget ${Credential}`;

interface World {
  readonly current: Name;
  readonly pending: Name | undefined;
  /** Readable in the store besides: as the previous version, or put aside when it was discarded. */
  readonly kept: readonly Name[];
  /** What the target accepts. A claim is the old credential to it. */
  readonly accepts: readonly Credential[];
  /** A target that makes credentials: it has made one that this process knows, or nobody. */
  readonly held: boolean;
  /** Changes that may take effect at any moment from now on, however long ago they were sent, and by whom. */
  readonly late: readonly Change[];
}

interface Kind {
  readonly title: string;
  /** Accepting a new credential ends the old one. */
  readonly replaces: boolean;
  readonly issues: boolean;
  /** The target can tell whether it accepts a credential. */
  readonly verifies: boolean;
  /** A change waits until those before it have taken effect or can't any more; or it is not made. */
  readonly fenced: boolean;
  /** No system takes the value, and the store makes a first one current at once. */
  readonly first?: boolean;
}

const KINDS: readonly Kind[] = (
  [
    { title: 'replaces the credential', replaces: true, issues: false, verifies: true },
    { title: 'takes two credentials', replaces: false, issues: false, verifies: true },
    { title: 'replaces the credential and can’t verify', replaces: true, issues: false, verifies: false },
    { title: 'makes credentials', replaces: false, issues: true, verifies: true },
  ] as const
).flatMap((kind) => [
  { ...kind, title: `${kind.title}, with a fence`, fenced: true },
  { ...kind, title: `${kind.title}, without a fence`, fenced: false },
]);

const FIRST: Kind = {
  title: 'is told nothing, in a store that makes a first value current at once',
  replaces: false,
  issues: false,
  verifies: true,
  fenced: true,
  first: true,
};

const START: World = {
  current: 'old',
  pending: undefined,
  kept: [],
  accepts: ['old'],
  held: false,
  late: [],
};

interface Result {
  readonly world: World;
  readonly event: Event;
}

const accepted = (world: World, name: Name): boolean =>
  world.accepts.includes(name === 'claim' ? 'old' : name);

const together = <T extends string>(some: readonly T[], ...more: readonly T[]): readonly T[] =>
  [...new Set([...some, ...more])].toSorted();

/** What the target accepts once a change has taken effect. */
function after({ accepts }: World, { replaces }: Kind, change: Change): readonly Credential[] {
  const [verb, name] = change.split(' ') as ['set' | 'forget', Credential];
  if (verb === 'forget') return accepts.filter((one) => one !== name);
  return replaces ? [name] : together(accepts, name);
}

/** All that an effect may come to, including what the process does not live to see. */
function outcomes(kind: Kind, plan: Plan, effect: Effect, world: World): readonly Result[] {
  const stay = (event: Event): Result => ({ world, event });
  const go = (event: Event, change: Partial<World>): Result => ({ world: { ...world, ...change }, event });
  const read = (...found: Result[]): readonly Result[] => [...found, stay('failed')];
  const verdict = (name: Name): readonly Result[] =>
    read(stay(!kind.verifies ? 'unknown' : accepted(world, name) ? 'accepted' : 'refused'));
  /** With the fence in hand, nothing sent before can take effect any more. */
  const late = kind.fenced ? [] : world.late;
  const changing = (change: Change, inDoubt: Event): readonly Result[] => {
    const made = { accepts: after(world, kind, change), late };
    return [
      go('ok', made),
      // The target says that it has, and has not, or has not yet.
      ...(change.startsWith('set') && (kind.verifies || inDoubt === 'unclear') ? [go('ok', { late })] : []),
      ...(kind.fenced ? [] : [go('ok', { late: together(late, change) })]),
      // Without the fence nothing is sent.
      stay('failed'),
      go('failed', { late }),
      go(inDoubt, made),
      go(inDoubt, { late: together(late, change) }),
    ];
  };
  switch (effect) {
    case 'look':
      return read(stay(world.pending === undefined ? 'none' : 'held'));
    case 'prepare':
      return read(stay('ok'));
    case 'claim': {
      if (world.pending !== undefined) return read(stay('held'));
      if (kind.first === true) {
        const current = 'new';
        return read(go('promoted', { current }), go('unclear', { current }), stay('unclear'));
      }
      const pending = plan.issues ? 'claim' : 'new';
      return read(go('ok', { pending }), go('unclear', { pending }), stay('unclear'));
    }
    case 'confirm-claim':
      if (kind.first === true) return read(stay(world.current === 'none' ? 'none' : 'promoted'));
      return read(stay(world.pending === undefined ? 'none' : 'mine'));
    case 'take-over':
      if (world.pending === undefined) return read(stay('none'));
      if (world.pending === world.current) return read(stay('promoted'));
      return read(stay(world.pending === 'claim' ? 'unissued' : 'ok'));
    case 'issue': {
      // Called again, it removes what it made before and nobody knows.
      const made = { accepts: after(world, kind, 'set new'), held: true };
      return [
        go('ok', made),
        stay('failed'),
        go('unclear', { accepts: made.accepts, held: false }),
        stay('unclear'),
      ];
    }
    case 'store-issued':
      return read(go('ok', { pending: 'new' }), go('unclear', { pending: 'new' }), stay('unclear'));
    case 'read-back':
      // After a write in doubt the claim may be there still: not a credential to be applied.
      return read(stay(world.pending === 'new' ? 'ok' : 'lost'));
    case 'apply-new':
      return changing('set new', 'unclear');
    case 'verify-new':
      return verdict('new');
    case 'promote': {
      // The second time, as after a promotion that broke off, there is nothing to be replaced.
      const kept = world.current === 'old' ? together(world.kept, 'old') : world.kept;
      const done = { current: 'new' as const, pending: undefined, kept };
      const half = { current: 'new' as const, kept };
      return read(go('ok', done), go('unclear', done), go('unclear', half), stay('unclear'));
    }
    case 'confirm-promotion':
      return read(stay(world.pending === undefined ? 'promoted' : 'mine'));
    case 'finish':
      return [stay('ok'), stay('failed')];
    case 'verify-old':
      return verdict(world.current);
    case 'apply-old':
      return changing('set old', 'failed');
    case 'retire-new':
      // A single credential has ended with the setting of the old one.
      return kind.replaces ? [stay('ok'), stay('failed')] : changing('forget new', 'failed');
    case 'discard': {
      const gone = {
        pending: undefined,
        kept: !kind.fenced && world.pending === 'new' ? together(world.kept, 'new' as const) : world.kept,
      };
      return [go('ok', gone), stay('failed'), go('failed', { kept: gone.kept }), go('failed', gone)];
    }
  }
}

interface Node {
  readonly world: World;
  readonly plan: Plan;
  readonly state: State;
}
const key = (value: unknown): string => JSON.stringify(value);

/** What the last rotation called new is older to the next one. */
function renamed(world: World): World {
  const older = <T extends string>(names: readonly T[]): readonly T[] =>
    together(names.map((name) => name.replace('new', 'older') as T));
  return { ...world, kept: older(world.kept), accepts: older(world.accepts), late: older(world.late) };
}

const explored = new Map<Kind, readonly Node[]>();

function nodesOf(kind: Kind): readonly Node[] {
  const nodes = explored.get(kind) ?? explore(kind);
  explored.set(kind, nodes);
  return nodes;
}

/** Every reachable node, from a first `rotate` on, through any number of later runs. */
function explore(kind: Kind): readonly Node[] {
  const seen = new Map<string, Node>();
  const queue: Node[] = [];
  const visit = (node: Node): void => {
    if (seen.has(key(node))) return;
    seen.set(key(node), node);
    queue.push(node);
  };
  const enter = (intent: Intent, world: World): void => {
    const plan = { intent, issues: kind.issues };
    // What a process knew is gone with it. What it sent is not.
    visit({ world: { ...world, held: false }, plan, state: begin(plan) });
  };
  enter('rotate', kind.first === true ? { ...START, current: 'none', accepts: ['new', 'none'] } : START);
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    const { world, plan, state } = node;
    // The process dies here, or ends; somebody comes to it again. A finished rotation is not begun anew here:
    // the next one is the same with other names.
    for (const intent of ['resume', 'rollback'] as const) enter(intent, world);
    if (world.current !== 'new')
      enter('rotate', world.pending === undefined && kind.first !== true ? renamed(world) : world);
    // A change made earlier takes effect now.
    for (const change of world.late) {
      const late = world.late.filter((one) => one !== change);
      visit({ ...node, world: { ...world, accepts: after(world, kind, change), late } });
    }
    if (isEnding(state)) continue;
    for (const { world: now, event } of outcomes(kind, plan, effectOf(state), world)) {
      // Dying after the effect and before its outcome is known.
      for (const intent of ['resume', 'rollback'] as const) enter(intent, now);
      visit({ world: now, plan, state: next(plan, state, event) });
    }
  }
  return [...seen.values()];
}

describe.each([...KINDS, FIRST])('a target that $title', (kind) => {
  const nodes = nodesOf(kind);

  test('accepts, at every moment, a credential that the store has', () => {
    expect(nodes.length).toBeGreaterThan(kind.first === true ? 20 : 40);
    const locked = nodes.filter(({ world }) => {
      const { current, pending, kept } = world;
      // With a fence, never what is put aside: readers and whoever goes on look at these two.
      const readable = [current, ...(pending === undefined ? [] : [pending]), ...(kind.fenced ? [] : kept)];
      return !readable.some((name) => accepted(world, name));
    });
    // Nothing can be said of a target that claims success, does nothing and can't be asked.
    const honest = kind.verifies ? locked : locked.filter(({ world }) => world.current === 'old');
    expect(honest).toEqual([]);
  });

  // Not an `expect` for each of so many nodes: what is wrong is collected, and expected to be nothing.
  test('ends as it says', () => {
    const wrong = nodes.filter(({ world, state }) => {
      const { current, pending, late } = world;
      if (state === 'undone' && (current !== 'old' || pending !== undefined)) return true;
      if (state === 'done' && (current !== 'new' || pending !== undefined)) return true;
      if ((state === 'nothing' || state === 'refused') && pending !== undefined) return true;
      // What came late, without a fence, came after that.
      if (!kind.verifies || !kind.fenced) return false;
      const ends = (change: Change): boolean =>
        !accepted({ ...world, accepts: after(world, kind, change) }, current);
      if (['done', 'undone', 'nothing'].includes(state) && (!accepted(world, current) || late.some(ends)))
        return true;
      return state === 'undone' && !kind.replaces && !kind.issues && world.accepts.includes('new');
    });
    expect(wrong).toEqual([]);
  });

  test.each(['resume', 'rollback'] as const)('%s finishes from everywhere once all goes well', (intent) => {
    const plan = { intent, issues: kind.issues };
    const worlds = new Map(nodes.map(({ world }) => [key({ ...world, held: false }), world]));
    const wrong = [...worlds.values()].flatMap((start) => {
      let world: World = { ...start, held: false };
      let state = begin(plan);
      for (let steps = 0; !isEnding(state) && steps < 12; steps += 1) {
        const [first] = outcomes(kind, plan, effectOf(state), world);
        if (first === undefined) throw new Error('no outcome');
        world = first.world;
        state = next(plan, state, first.event);
      }
      const right =
        world.pending === undefined &&
        // With nothing to go on with, a credential that was ended late is told, not mended.
        (['done', 'undone', 'nothing'].includes(state) ||
          (state === 'refused' && !kind.fenced && start.pending === undefined)) &&
        (!kind.verifies || accepted(world, world.current) === (state !== 'refused')) &&
        // A rollback ends with the old credential, unless the new one was current already.
        (state !== 'undone' || world.current === 'old') &&
        (intent !== 'rollback' || start.current !== 'old' || world.current === 'old');
      return right ? [] : [{ start, world, state }];
    });
    expect(wrong).toEqual([]);
  });
});

const FORK = /^(claimed|tookOver|tookOverUnissued|acceptedAnyway|givenUp|notTaken)$/;

test('every state, and every transition but those of a second process, is reached by the model', () => {
  const reached = new Set<string>();
  for (const kind of [...KINDS, FIRST])
    for (const { world, plan, state } of nodesOf(kind)) {
      if (isEnding(state)) reached.add(state);
      else
        for (const { event } of outcomes(kind, plan, effectOf(state), world))
          reached.add(`${state} ${event}`);
    }
  const all = transitions()
    .filter(({ from, on }) => from !== '[*]' && on !== '' && !FORK.test(from))
    .map(({ from, on }) => `${from} ${on}`);
  const missing = all.filter((transition) => !reached.has(transition));
  // These need somebody else at the same time; tests/rotation/claims.test.ts has two of them.
  expect(missing.filter((transition) => !/ (held|lost)$/.test(transition))).toEqual([]);
  expect(ENDINGS.filter((ending) => !reached.has(ending))).toEqual([]);
});

test('an event that a state can’t have is an error, and each one that it can have leads somewhere', () => {
  const plan: Plan = { intent: 'rotate', issues: false };
  expect(() => next(plan, 'looking', 'accepted')).toThrow("can't");
  for (const { from } of transitions()) {
    if (from === '[*]' || isEnding(from as State) || FORK.test(from)) continue;
    for (const event of eventsOf(from as Working))
      expect(typeof next(plan, from as Working, event)).toBe('string');
  }
});

test('the diagram in the docs is the machine', () => {
  const docs = readFileSync(new URL('../../../docs/rotation.md', import.meta.url), 'utf8');
  // scripts/rotation-diagram.mjs writes it.
  expect(/```mermaid\n([\s\S]*?)```/.exec(docs)?.[1]).toBe(diagram());
});
