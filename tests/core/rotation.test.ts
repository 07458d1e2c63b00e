/**
 * The rotation's machine against a model of the world: a store with a current and a pending version, a target that
 * accepts some credentials, and everything that can go wrong. All of what can be reached is explored, not a sample:
 * every order of successes, failures, lost answers, deaths of the process, and later runs that resume or roll back.
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
} from '../../src/core/rotation.ts';

type Name = 'old' | 'new' | 'claim';

/** `claim` is the old credential with a mark, as it stands in for one that the target has yet to make. */
interface World {
  readonly current: Name;
  readonly pending: Name | undefined;
  /** What the target accepts. A claim is the old credential to it. */
  readonly accepts: readonly ('old' | 'new')[];
  /** A target that makes credentials: it has made one that this process knows, or nobody. */
  readonly held: boolean;
  /** A change that was sent, got no answer, and may take place at any moment until the lease is over. */
  readonly underWay?: World['accepts'] | undefined;
}

interface Kind {
  readonly title: string;
  /** Accepting a new credential ends the old one. */
  readonly replaces: boolean;
  readonly issues: boolean;
  /** The target can tell whether it accepts a credential. */
  readonly verifies: boolean;
}

const KINDS: readonly Kind[] = [
  { title: 'replaces the credential', replaces: true, issues: false, verifies: true },
  { title: 'takes two credentials', replaces: false, issues: false, verifies: true },
  { title: 'replaces the credential and can’t verify', replaces: true, issues: false, verifies: false },
  { title: 'makes credentials', replaces: false, issues: true, verifies: true },
];

const START: World = { current: 'old', pending: undefined, accepts: ['old'], held: false };

interface Result {
  readonly world: World;
  readonly event: Event;
}

const accepted = (world: World, name: Name): boolean =>
  world.accepts.includes(name === 'claim' ? 'old' : name);

/** All that an effect may come to, including what the process does not live to see. */
function outcomes(kind: Kind, plan: Plan, effect: Effect, world: World): readonly Result[] {
  const stay = (event: Event): Result => ({ world, event });
  const go = (event: Event, change: Partial<World>): Result => ({ world: { ...world, ...change }, event });
  const read = (...found: Result[]): readonly Result[] => [...found, stay('failed')];
  const apply = (name: 'old' | 'new'): World['accepts'] =>
    kind.replaces
      ? [name]
      : (['old', 'new'] as const).filter((one) => one === name || world.accepts.includes(one));
  const verdict = (name: Name): readonly Result[] =>
    read(stay(!kind.verifies ? 'unknown' : accepted(world, name) ? 'accepted' : 'refused'));
  const without = world.accepts.filter((name) => name !== 'new');
  switch (effect) {
    case 'look':
      return read(stay(world.pending === undefined ? 'none' : 'held'));
    case 'prepare':
      return read(stay('ok'));
    case 'claim': {
      if (world.pending !== undefined) return read(stay('held'));
      const pending = plan.issues ? 'claim' : 'new';
      return read(go('ok', { pending }), go('unclear', { pending }), stay('unclear'));
    }
    case 'confirm-claim':
      return read(stay(world.pending === undefined ? 'none' : 'mine'));
    case 'take-over':
      if (world.pending === undefined) return read(stay('none'));
      if (world.pending === world.current) return read(stay('promoted'));
      return read(stay(world.pending === 'claim' ? 'unissued' : 'ok'));
    case 'issue': {
      // Called again, it removes what it made before and nobody knows.
      const made = { accepts: apply('new'), held: true };
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
      return [
        go('ok', { accepts: apply('new') }),
        // It says that it has, and has not.
        stay('ok'),
        stay('failed'),
        go('unclear', { accepts: apply('new') }),
        go('unclear', { underWay: apply('new') }),
      ];
    case 'verify-new':
      return verdict('new');
    case 'promote': {
      const done = { current: 'new' as const, pending: undefined };
      const half = { current: 'new' as const };
      return read(go('ok', done), go('unclear', done), go('unclear', half), stay('unclear'));
    }
    case 'confirm-promotion':
      return read(stay(world.pending === undefined ? 'promoted' : 'mine'));
    case 'finish':
      return [stay('ok'), stay('failed')];
    case 'verify-old':
      return verdict(world.current);
    case 'apply-old':
      return [
        go('ok', { accepts: apply('old') }),
        ...(kind.verifies ? [stay('ok')] : []),
        stay('failed'),
        go('failed', { accepts: apply('old') }),
        go('failed', { underWay: apply('old') }),
      ];
    case 'retire-new':
      return kind.replaces
        ? [stay('ok'), stay('failed')]
        : [go('ok', { accepts: without }), stay('failed'), go('failed', { accepts: without })];
    case 'discard':
      return [go('ok', { pending: undefined }), stay('failed'), go('failed', { pending: undefined })];
  }
}

interface Node {
  readonly world: World;
  readonly plan: Plan;
  readonly state: State;
}
const key = (value: unknown): string => JSON.stringify(value);

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
    // What a process knew is gone with it. A lease later, nothing is under way any more.
    const { underWay, ...settled } = { ...world, held: false };
    visit({ world: settled, plan, state: begin(plan) });
    if (underWay !== undefined) visit({ world: { ...settled, accepts: underWay }, plan, state: begin(plan) });
  };
  enter('rotate', START);
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    const { world, plan, state } = node;
    // The process dies here, or ends; somebody comes to it again. A finished rotation is not begun anew here:
    // the next one is the same with other names.
    for (const intent of ['resume', 'rollback'] as const) enter(intent, world);
    if (world.current === 'old') enter('rotate', world);
    if (world.underWay !== undefined) {
      const { underWay, ...others } = world;
      visit({ ...node, world: { ...others, accepts: underWay } });
    }
    if (isEnding(state)) continue;
    for (const { world: after, event } of outcomes(kind, plan, effectOf(state), world)) {
      // Dying after the effect and before its outcome is known.
      for (const intent of ['resume', 'rollback'] as const) enter(intent, after);
      visit({ world: after, plan, state: next(plan, state, event) });
    }
  }
  return [...seen.values()];
}

describe.each(KINDS)('a target that $title', (kind) => {
  const nodes = explore(kind);

  test('accepts, at every moment, a credential that the store has', () => {
    expect(nodes.length).toBeGreaterThan(40);
    const locked = nodes.filter(
      ({ world }) => !accepted(world, world.current) && !(world.pending && accepted(world, world.pending)),
    );
    // Nothing can be said of a target that claims success, does nothing and can't be asked.
    const honest = kind.verifies ? locked : locked.filter(({ world }) => world.current === 'old');
    expect(honest).toEqual([]);
  });

  test('ends as it says', () => {
    for (const { world, state } of nodes) {
      if (state === 'undone') expect(world).toMatchObject({ current: 'old', pending: undefined });
      if (state === 'done') expect(world).toMatchObject({ current: 'new', pending: undefined });
      if (kind.verifies && (state === 'done' || state === 'undone'))
        expect(accepted(world, world.current)).toBe(true);
      if (state === 'undone' && !kind.replaces && !kind.issues) expect(world.accepts).toEqual(['old']);
    }
  });

  test.each(['resume', 'rollback'] as const)('%s finishes from everywhere once all goes well', (intent) => {
    for (const { world: start } of nodes) {
      const plan = { intent, issues: kind.issues };
      let world: World = { ...start, held: false, underWay: undefined };
      let state = begin(plan);
      for (let steps = 0; !isEnding(state); steps += 1) {
        expect(steps).toBeLessThan(12);
        const [first] = outcomes(kind, plan, effectOf(state), world);
        if (first === undefined) throw new Error('no outcome');
        world = first.world;
        state = next(plan, state, first.event);
      }
      expect(world.pending).toBeUndefined();
      expect(['done', 'undone', 'nothing']).toContain(state);
      if (kind.verifies) expect(accepted(world, world.current)).toBe(true);
      // A rollback ends with the old credential, unless the new one was current already.
      if (state === 'undone') expect(world.current).toBe('old');
      if (intent === 'rollback' && start.current === 'old') expect(world.current).toBe('old');
    }
  });
});

test('every state, and every transition but those of a second process, is reached by the model', () => {
  const reached = new Set<string>();
  for (const kind of KINDS)
    for (const { world, plan, state } of explore(kind)) {
      if (isEnding(state)) reached.add(state);
      else
        for (const { event } of outcomes(kind, plan, effectOf(state), world))
          reached.add(`${state} ${event}`);
    }
  const all = transitions()
    .filter(({ from, on }) => from !== '[*]' && on !== '' && !/^(claimed|tookOver|givenUp)/.test(from))
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
    if (from === '[*]' || isEnding(from as State) || /^(claimed|tookOver|givenUp)/.test(from)) continue;
    for (const event of eventsOf(from as Working))
      expect(typeof next(plan, from as Working, event)).toBe('string');
  }
});

test('the diagram in the docs is the machine', () => {
  const docs = readFileSync(new URL('../../docs/rotation.md', import.meta.url), 'utf8');
  // scripts/rotation-diagram.mjs writes it.
  expect(/```mermaid\n([\s\S]*?)```/.exec(docs)?.[1]).toBe(diagram());
});
