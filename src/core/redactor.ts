/**
 * Masks secrets in a stream of bytes: every value, the secrets inside of it and their usual encodings
 * (secret-forms.ts), across chunk and line borders.
 *
 * An Aho–Corasick automaton (Aho and Corasick, "Efficient string matching", 1975) reads each byte once. Bytes that
 * may be the beginning of a secret are held back until they are one or are not. Memory: the automaton takes about
 * 30 bytes for each byte of the forms; a stream holds at most as many bytes as the longest form. Delay: `release`.
 */
import { SecretsError } from './errors.ts';
import { formsOf, partsOf } from './secret-forms.ts';

export { MIN_SECRET_BYTES } from './secret-forms.ts';

/** What is shown instead. Overlapping secrets share one. */
export const MASK = '***';
/** After a short pause this many bytes of a possible secret are let go: what a prompt or a line may end with. */
const RELEASABLE = 3;
/** 8 million states: about 240 MB. */
const MAX_STATES = 2 ** 23;

/** A run of masked bytes: positions in the stream, `to` exclusive. */
interface Run {
  from: number;
  to: number;
  /** The mask is out already; more bytes of the same run add nothing. */
  written: boolean;
}

/** The automaton: built once, used by any number of streams. */
export class Masker {
  readonly #maxStates: number;
  #states = 1;
  #parent = new Int32Array(1024);
  #byte = new Uint8Array(1024);
  #fail = new Int32Array(1024);
  /** Length of the path from the root: how many of the last bytes may be the beginning of a form. */
  #depth = new Int32Array(1024);
  /** Length of the longest form that ends in this state, 0 for none. */
  #match = new Int32Array(1024);
  /** Edges `state * 256 + byte` → state, in a hash table with open addressing; key 0 means empty. */
  #keys = new Int32Array(4096);
  #values = new Int32Array(4096);
  #root = new Int32Array(256);
  /** For the states of depth 1, by their byte: the state after each next byte. Most of the output ends here. */
  readonly #second = new Int32Array(256 * 256);

  /**
   * @param maxStates bound of its size: about 30 bytes each
   * @throws SecretsError Invalid when the values are too many to be masked within that
   */
  constructor(values: Iterable<Uint8Array>, maxStates: number = MAX_STATES) {
    this.#maxStates = maxStates;
    for (const value of values) {
      for (const part of [value, ...partsOf(value)]) for (const form of formsOf(part)) this.#add(form);
    }
    this.#fillSecond();
    this.#link();
  }

  /** A new stream over this automaton. */
  stream(): MaskedStream {
    return new MaskedStream(this);
  }

  /**
   * Reads a chunk and tells of each state that a match ends in.
   * @returns the state after it
   */
  scan(from: number, chunk: Uint8Array, found: (length: number, end: number) => void): number {
    let state = from;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] as number;
      state = state === 0 ? (this.#root[byte] as number) : this.#step(state, byte);
      const length = this.#match[state] as number;
      if (length > 0) found(length, index + 1);
    }
    return state;
  }

  /** The bytes that led to a state: what of the input may be the beginning of a form. */
  bytesOf(from: number): Uint8Array {
    const bytes = new Uint8Array(this.depth(from));
    for (let state = from, at = bytes.length - 1; at >= 0; state = this.#parent[state] as number, at -= 1)
      bytes[at] = this.#byte[state] as number;
    return bytes;
  }

  depth(state: number): number {
    return this.#depth[state] as number;
  }

  #step(from: number, byte: number): number {
    for (let state = from; state !== 0; state = this.#fail[state] as number) {
      if (this.#depth[state] === 1) return this.#second[(this.#byte[state] as number) * 256 + byte] as number;
      const next = this.#edge(state, byte);
      if (next !== 0) return next;
    }
    return this.#root[byte] as number;
  }

  /** The edge's target, 0 for none (no edge leads to the root). */
  #edge(state: number, byte: number): number {
    const key = state * 256 + byte;
    const mask = this.#keys.length - 1;
    for (let slot = hash(key) & mask; ; slot = (slot + 1) & mask) {
      const here = this.#keys[slot];
      if (here === key) return this.#values[slot] as number;
      if (here === 0) return 0;
    }
  }

  #setEdge(key: number, state: number): void {
    const mask = this.#keys.length - 1;
    let slot = hash(key) & mask;
    while (this.#keys[slot] !== 0) slot = (slot + 1) & mask;
    this.#keys[slot] = key;
    this.#values[slot] = state;
  }

  #add(form: Uint8Array): void {
    let state = 0;
    for (const byte of form) {
      let next = state === 0 ? (this.#root[byte] as number) : this.#edge(state, byte);
      if (next === 0) {
        next = this.#newState(state, byte);
        if (state === 0) this.#root[byte] = next;
        else this.#setEdge(state * 256 + byte, next);
      }
      state = next;
    }
    this.#match[state] = form.length;
  }

  #newState(parent: number, byte: number): number {
    const state = this.#states;
    if (state >= this.#maxStates) {
      throw new SecretsError('Invalid', 'there is too much secret text to mask it in the output', {
        hint: 'give fewer or smaller values, or use --no-redact',
      });
    }
    if (state === this.#parent.length) this.#grow();
    this.#states += 1;
    this.#parent[state] = parent;
    this.#byte[state] = byte;
    this.#depth[state] = (this.#depth[parent] as number) + 1;
    return state;
  }

  #grow(): void {
    const size = this.#parent.length * 2;
    const wider = (old: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
      const grown = new Int32Array(size);
      grown.set(old);
      return grown;
    };
    this.#parent = wider(this.#parent);
    this.#fail = wider(this.#fail);
    this.#depth = wider(this.#depth);
    this.#match = wider(this.#match);
    const bytes = new Uint8Array(size);
    bytes.set(this.#byte);
    this.#byte = bytes;
    const [keys, values] = [this.#keys, this.#values];
    // Twice as many slots as states keeps the chains short.
    this.#keys = new Int32Array(size * 2);
    this.#values = new Int32Array(size * 2);
    for (let slot = 0; slot < keys.length; slot += 1) {
      if (keys[slot] !== 0) this.#setEdge(keys[slot] as number, values[slot] as number);
    }
  }

  #fillSecond(): void {
    for (const state of this.#root) {
      if (state === 0) continue;
      const row = (this.#byte[state] as number) * 256;
      for (let byte = 0; byte < 256; byte += 1)
        this.#second[row + byte] = this.#edge(state, byte) || (this.#root[byte] as number);
    }
  }

  /** Sets the failure links, breadth first: a state's link leads to a shorter one, which must be ready. */
  #link(): void {
    for (const state of this.#byDepth()) {
      const parent = this.#parent[state] as number;
      const fail = parent === 0 ? 0 : this.#step(this.#fail[parent] as number, this.#byte[state] as number);
      this.#fail[state] = fail;
      if (this.#match[state] === 0) this.#match[state] = this.#match[fail] as number;
    }
  }

  /** Every state but the root, by depth (a counting sort). */
  #byDepth(): Int32Array {
    let deepest = 0;
    for (let state = 1; state < this.#states; state += 1) deepest = Math.max(deepest, this.depth(state));
    const starts = new Int32Array(deepest + 2);
    for (let state = 1; state < this.#states; state += 1) {
      const slot = this.depth(state) + 1;
      starts[slot] = (starts[slot] as number) + 1;
    }
    for (let depth = 1; depth < starts.length; depth += 1) {
      starts[depth] = (starts[depth] as number) + (starts[depth - 1] as number);
    }
    const sorted = new Int32Array(this.#states - 1);
    for (let state = 1; state < this.#states; state += 1) {
      const position = starts[this.depth(state)] as number;
      sorted[position] = state;
      starts[this.depth(state)] = position + 1;
    }
    return sorted;
  }
}

function hash(key: number): number {
  const mixed = Math.imul(key ^ (key >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

/** One stream being masked. What it gives does not depend on how the input is cut, unless `release` is used. */
export class MaskedStream {
  #masker: Masker;
  #state = 0;
  /** Bytes not yet written, the first at position `#base` of the stream. */
  #held: Buffer = Buffer.alloc(0);
  #base = 0;
  #end = 0;
  /** Masked runs that are not out yet, in order, apart from each other. */
  #runs: Run[] = [];
  /** Where the last mask that is out ends. */
  #maskedTo = 0;

  constructor(masker: Masker) {
    this.#masker = masker;
  }

  /**
   * From here on looks for the forms of this one, which must know those of the one before as well: what has begun
   * with them goes on.
   */
  switchTo(masker: Masker): void {
    const begun = this.#masker.bytesOf(this.#state);
    this.#masker = masker;
    this.#state = masker.scan(0, begun, () => {});
  }

  /** What can be written after this chunk. */
  write(chunk: Uint8Array): Buffer {
    const start = this.#end;
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk]);
    this.#end += chunk.length;
    this.#state = this.#masker.scan(this.#state, chunk, (length, end) =>
      this.#mark(start + end - length, start + end),
    );
    // No form that ends later can begin before this position.
    return this.#emit(this.#end - this.#masker.depth(this.#state));
  }

  /** Whether bytes wait for what follows. */
  get pending(): boolean {
    return this.#held.length > 0;
  }

  /**
   * After a pause: lets go what would be at most three characters of a secret, so that a prompt that ends as a
   * secret begins is seen. A longer beginning stays, or is given as a mask with `all`: then nothing waits longer.
   * The rest of a secret is masked all the same when it follows.
   */
  release(all: boolean): Buffer {
    // How much of a secret this may be, counting what was let go at earlier pauses.
    const depth = this.#masker.depth(this.#state);
    const covered = this.#runs.at(-1)?.to === this.#end;
    if (depth > RELEASABLE && !covered) {
      if (!all) return Buffer.alloc(0);
      this.#mark(this.#end - depth, this.#end);
    }
    return this.#emit(this.#end);
  }

  /** The rest, at the end of the stream. */
  end(): Buffer {
    return this.#emit(this.#end);
  }

  #mark(found: number, to: number): void {
    const open = this.#runs.at(-1);
    if (open !== undefined && open.from <= found && found < open.to) {
      open.to = to;
      return;
    }
    let from = Math.max(found, this.#base);
    let written = found < this.#maskedTo;
    for (let last = this.#runs.at(-1); last !== undefined && last.to > from; last = this.#runs.at(-1)) {
      from = Math.min(from, last.from);
      written ||= last.written;
      this.#runs.pop();
    }
    this.#runs.push({ from, to, written });
  }

  #emit(safe: number): Buffer {
    const parts: Buffer[] = [];
    let position = this.#base;
    for (;;) {
      const run = this.#runs[0];
      const stop = run === undefined ? safe : Math.min(run.from, safe);
      if (stop > position) {
        parts.push(this.#held.subarray(position - this.#base, stop - this.#base));
        position = stop;
      }
      // Where a run begins is certain once it lies before `safe`; then its bytes need not be kept.
      if (run === undefined || run.from >= safe) break;
      if (!run.written) parts.push(Buffer.from(MASK));
      run.written = true;
      position = Math.max(position, Math.min(run.to, safe));
      if (run.to > safe) break;
      this.#maskedTo = run.to;
      this.#runs.shift();
    }
    const out = Buffer.concat(parts);
    this.#held = this.#held.subarray(position - this.#base);
    this.#base = position;
    return out;
  }
}
