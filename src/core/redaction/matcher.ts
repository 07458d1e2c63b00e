/**
 * Matches patterns from a given position: a deterministic automaton, built from the patterns' nondeterministic one as
 * far as the input requires (Thompson, "Regular expression search algorithm", 1968; lazily, as in RE2 by Cox).
 *
 * A state represents all ways in which the bytes since that position can start a pattern. Ordinary output needs a few
 * hundred states; beyond a limit they are dropped and built again.
 */
import type { Cell, Pattern } from './patterns.ts';
import type { Node } from './nodes.ts';

/** The most states to keep: about half a KiB each. */
const MAX_STATES = 2 ** 17;
/** States up to this depth, in bytes, are few and used often. */
const SHALLOW = 3;

/** Where patterns with the same first cells continue. */
interface Place {
  readonly final: boolean;
  readonly edges: readonly Edge[];
}

/** A cell that follows a place. */
class Edge {
  readonly id: number;
  readonly cell: Cell;
  /** The number of cells before this one. */
  readonly depth: number;
  readonly #patterns: readonly Pattern[];
  readonly #ids: Ids;
  #target: Place | undefined;

  constructor(cell: Cell, patterns: readonly Pattern[], depth: number, ids: Ids) {
    this.id = ids.next();
    this.cell = cell;
    this.#patterns = patterns;
    this.depth = depth;
    this.#ids = ids;
  }

  get target(): Place {
    return (this.#target ??= placeOf(this.#patterns, this.depth + 1, this.#ids));
  }

  /** Length of the shortest of its patterns. */
  get length(): number {
    return Math.min(...this.#patterns.map(({ length }) => length));
  }
}

class Ids {
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

function placeOf(patterns: readonly Pattern[], depth: number, ids: Ids): Place {
  const groups = new Map<Cell, Pattern[]>();
  let final = false;
  for (const pattern of patterns) {
    if (pattern.length === depth) {
      final = true;
      continue;
    }
    const cell = pattern.cell(depth);
    const group = groups.get(cell);
    if (group === undefined) groups.set(cell, [pattern]);
    else group.push(pattern);
  }
  return { final, edges: Array.from(groups, ([cell, group]) => new Edge(cell, group, depth, ids)) };
}

/** One possibility: within a cell's spellings, or in what may come before it. */
interface Thread {
  readonly edge: Edge;
  readonly node: Node;
  /** Whether a zero byte was skipped: UTF-16 has one beside each ASCII character, never two. */
  readonly zero: boolean;
}

export class State {
  /** Whether a pattern ends here. */
  readonly match: boolean;
  readonly threads: readonly Thread[];
  /** The number of bytes that first led here. */
  readonly depth: number;
  /** Transitions by byte, for states that are used often; `null` if no pattern continues. */
  readonly table: (State | null | undefined)[] | undefined;
  /** States deep inside a pattern mostly have a single continuing byte, and few others. */
  readonly #others = new Map<number, State | null>();
  #byte = -1;
  #state: State | null | undefined;

  constructor(threads: readonly Thread[], match: boolean, depth: number) {
    this.threads = threads;
    this.match = match;
    this.depth = depth;
    this.table = depth <= SHALLOW ? new Array<State | null | undefined>(256) : undefined;
  }

  /** Whether most of a pattern has matched: half of it, or this many cells, but never fewer than `least`. */
  hasMost(cells: number, least: number): boolean {
    return this.threads.some(
      ({ edge }) => edge.depth >= Math.max(least, Math.min(cells, Math.ceil(edge.length / 2))),
    );
  }

  /** The state after this byte; `undefined` if it isn't known yet. */
  next(byte: number): State | null | undefined {
    if (this.table !== undefined) return this.table[byte];
    return byte === this.#byte ? this.#state : this.#others.get(byte);
  }

  setNext(byte: number, state: State | null): void {
    if (this.table !== undefined) this.table[byte] = state;
    else if (state === null || this.#byte !== -1) this.#others.set(byte, state);
    else [this.#byte, this.#state] = [byte, state];
  }
}

/** Where the cells of the root lead with their first byte. */
type Entry = readonly [edge: Edge, node: Node];

export class Matcher {
  /** For each two bytes, `first * 256 + second`: whether a pattern may start with them. */
  readonly pairs = new Uint8Array(65536);
  /** The states after two bytes, once needed. */
  readonly second: (State | undefined)[] = new Array<undefined>(65536);
  readonly #entries: readonly (readonly Entry[])[];
  /** The states after the first byte, once needed. */
  readonly #first: (State | null | undefined)[] = new Array<undefined>(256);
  #states = new Map<string, State>();

  constructor(patterns: readonly Pattern[]) {
    this.#entries = entriesOf(placeOf(patterns, 0, new Ids()));
    for (const [byte, entries] of this.#entries.entries()) {
      // States with escapes are built, and their rows corrected, when the byte occurs.
      if (entries.some(([, node]) => node.fill !== undefined))
        this.pairs.fill(1, byte * 256, byte * 256 + 256);
      else this.first(byte);
    }
  }

  /** The state after the first byte. */
  first(byte: number): State | null {
    const known = this.#first[byte];
    if (known !== undefined) return known;
    const set = new ThreadSet();
    for (const [edge, node] of this.#entries[byte] as readonly Entry[]) enter(edge, node, set);
    const state = this.#stateOf(set, 1);
    this.#first[byte] = state;
    const row = this.pairs.fill(0, byte * 256, byte * 256 + 256);
    for (const second of state === null ? [] : liveBytes(state)) row[byte * 256 + second] = 1;
    return state;
  }

  /**
   * The state after two bytes that a pattern may start with. Corrects the table if none does.
   * @param pair `first * 256 + second`
   */
  start(pair: number): State | null {
    const state = this.first(pair >> 8);
    const next = state && this.step(state, pair & 255);
    if (next === null) this.pairs[pair] = 0;
    else this.second[pair] = next;
    return next;
  }

  step(state: State, byte: number): State | null {
    const known = state.next(byte);
    if (known !== undefined) return known;
    const found = this.#makeNext(state, byte);
    state.setNext(byte, found);
    return found;
  }

  #makeNext(state: State, byte: number): State | null {
    const set = new ThreadSet();
    for (const thread of state.threads) {
      if (byte === 0 && !thread.zero) set.add({ ...thread, zero: true });
      advance(thread, byte, set);
    }
    return this.#stateOf(set, state.depth + 1);
  }

  #stateOf(set: ThreadSet, depth: number): State | null {
    if (set.empty) return null;
    const { key } = set;
    let state = this.#states.get(key);
    if (state === undefined) {
      // States in use are kept alive by their users.
      if (this.#states.size >= MAX_STATES) this.#forget();
      state = new State(set.threads, set.match, depth);
      this.#states.set(key, state);
    }
    return state;
  }

  #forget(): void {
    this.#states = new Map();
    this.#first.fill(undefined);
    this.second.fill(undefined);
  }
}

function entriesOf(root: Place): readonly (readonly Entry[])[] {
  const entries = Array.from({ length: 256 }, (): Entry[] => []);
  for (const edge of root.edges) {
    for (const node of closure(edge.cell.spelling)) {
      for (const [index, byte] of node.bytes.entries())
        entries[byte]?.push([edge, node.targets[index] as Node]);
    }
  }
  return entries;
}

class ThreadSet {
  match = false;
  readonly #threads = new Map<number, Thread>();

  get empty(): boolean {
    return this.#threads.size === 0 && !this.match;
  }

  get threads(): readonly Thread[] {
    return [...this.#threads.values()];
  }

  get key(): string {
    return `${Float64Array.from(this.#threads.keys()).sort().join()}${this.match ? '!' : ''}`;
  }

  /** @returns whether it is new */
  add(thread: Thread): boolean {
    const key = thread.edge.id * 2 ** 24 + thread.node.id * 2 + (thread.zero ? 1 : 0);
    if (this.#threads.has(key)) return false;
    this.#threads.set(key, thread);
    return true;
  }
}

function advance({ edge, node }: Thread, byte: number, set: ThreadSet): void {
  const { bytes, targets } = node;
  for (let index = 0; index < bytes.length; index += 1)
    if (bytes[index] === byte) enter(edge, targets[index] as Node, set);
}

/** Adds a node and everything that is reachable from it without a byte. */
function enter(edge: Edge, node: Node, set: ThreadSet): void {
  node.fill?.();
  // Ends have no continuation and need no thread.
  if (node.bytes.length > 0 && !set.add({ edge, node, zero: false })) return;
  for (const other of node.also) enter(edge, other, set);
  if (node.end === 'inserted') enter(edge, edge.cell.spelling, set);
  if (node.end === 'spelled') arrive(edge.target, set);
}

function arrive(place: Place, set: ThreadSet): void {
  if (place.final) set.match = true;
  for (const edge of place.edges) {
    const { spelling, before, apart } = edge.cell;
    if (!apart || before === undefined) enter(edge, spelling, set);
    if (before !== undefined) enter(edge, before, set);
  }
}

function closure(start: Node): readonly Node[] {
  const nodes = new Set([start]);
  for (const node of nodes) for (const other of node.also) nodes.add(other);
  return [...nodes];
}

function liveBytes({ threads }: State): ReadonlySet<number> {
  const live = new Set<number>();
  for (const { node, zero } of threads) {
    if (!zero) live.add(0);
    for (const byte of node.bytes) live.add(byte);
  }
  return live;
}
