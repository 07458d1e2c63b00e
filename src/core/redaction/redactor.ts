/**
 * Masks secrets in a stream of bytes: every value and the secrets within it, each in any spelling that encoders give
 * its characters (spellings.ts) and in base64 and hexadecimal (patterns.ts), across chunk and line boundaries.
 *
 * A table of byte pairs finds where a pattern may start; from there the automaton of matcher.ts continues until no
 * pattern is possible any more. Bytes that may be the start of a secret are held back until that is decided. A
 * pattern has at most 64 characters (longer values are searched for in overlapping pieces), which limits the bytes
 * held back and the time for each byte of output, whatever the values are. Delay: `release`.
 */
import { SecretsError } from '../errors.ts';
import { Matcher, type State } from './matcher.ts';
import { type Pattern, patternsOf } from './patterns.ts';
import { MIN_LINE_BYTES } from './secret-forms.ts';

export { MIN_SECRET_BYTES } from './secret-forms.ts';

/** The replacement. Overlapping secrets share one. */
export const MASK = '***';
/**
 * After a short pause, up to this many bytes of a possible secret are written: a prompt or a line may end with them.
 */
const RELEASABLE = 3;
/** The total length of all patterns, in characters: about 200 MB. */
const MAX_CHARACTERS = 2 ** 25;

/** A run of masked bytes: positions in the stream, `to` exclusive. */
interface Run {
  from: number;
  to: number;
  /** The mask has been written; more bytes of the same run add nothing. */
  written: boolean;
}

/** A possible secret whose end hasn't arrived yet. */
interface Candidate {
  readonly from: number;
  state: State;
}

/** The values to search for: built once, used by any number of streams. */
export class Masker {
  readonly matcher: Matcher;

  /**
   * @param maxCharacters limit of the patterns' total length
   * @throws SecretsError Invalid if the values exceed it
   */
  constructor(values: Iterable<Uint8Array>, maxCharacters: number = MAX_CHARACTERS) {
    const patterns: Pattern[] = [];
    let characters = 0;
    for (const value of distinct(values)) {
      for (const pattern of patternsOf(value)) {
        characters += pattern.length;
        if (characters > maxCharacters) throw tooMuch();
        patterns.push(pattern);
      }
    }
    this.matcher = new Matcher(patterns);
  }

  stream(): MaskedStream {
    return new MaskedStream(this);
  }

  /** Whether a text contains any of the values. */
  finds(text: Uint8Array): boolean {
    let found = false;
    scan(this.matcher, [], text, 0, () => (found = true));
    return found;
  }
}

function tooMuch(): SecretsError {
  return new SecretsError('Invalid', 'there is too much secret text to mask it in the output', {
    hint: 'use fewer or smaller values, or --no-redact',
  });
}

function distinct(values: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const known = new Map<string, Uint8Array>();
  for (const value of values) known.set(Buffer.from(value).toString('latin1'), value);
  return known.values();
}

type Found = (from: number, to: number) => void;

/**
 * Scans a chunk that starts at a position of the stream, continuing earlier candidates, and reports the end of each
 * match.
 * @returns the candidates that may continue after the chunk, in order
 */
function scan(
  matcher: Matcher,
  begun: readonly Candidate[],
  chunk: Uint8Array,
  start: number,
  found: Found,
): Candidate[] {
  const open: Candidate[] = [];
  const follow = (from: number, first: State, next: number): void => {
    let state: State | null = first;
    for (let at = next; at < chunk.length; at += 1) {
      state = matcher.step(state, chunk[at] as number);
      if (state === null) return;
      if (state.match) found(from, start + at + 1);
    }
    open.push({ from, state });
  };
  for (const { from, state } of begun) follow(from, state, 0);
  const { pairs, second } = matcher;
  const last = chunk.length - 1;
  let pair = chunk[0] as number;
  for (let at = 0; at < last; at += 1) {
    pair = ((pair & 255) << 8) | (chunk[at + 1] as number);
    // Most of the output is ruled out here …
    if (pairs[pair] === 0) continue;
    const state = second[pair] ?? matcher.start(pair);
    // … and most of the rest by the third byte.
    if (state === null || (at + 1 < last && state.table?.[chunk[at + 2] as number] === null)) continue;
    follow(start + at, state, at + 2);
  }
  const state = last >= 0 ? matcher.first(chunk[last] as number) : null;
  if (state !== null) open.push({ from: start + last, state });
  return open;
}

/** One stream that is being masked. The output doesn't depend on how the input is split, unless `release` is used. */
export class MaskedStream {
  #matcher: Matcher;
  #candidates: Candidate[] = [];
  /** The last bytes, starting at position `#from` of the stream; those before `#base` have been written. */
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #base = 0;
  #end = 0;
  /** Masked runs that haven't been written yet, in order, not touching each other. */
  #runs: Run[] = [];
  /** The end of the last mask that was written. */
  #maskedTo = 0;

  constructor(masker: Masker) {
    this.#matcher = masker.matcher;
  }

  /**
   * Searches for this masker's values from now on. They must include those of the previous one, because its
   * candidates continue.
   */
  switchTo(masker: Masker): void {
    this.#matcher = masker.matcher;
    this.#candidates = this.#scan([], this.#bytes, this.#from);
  }

  /** Returns what can be written after this chunk. */
  write(chunk: Uint8Array): Buffer {
    if (chunk.length === 0) return Buffer.alloc(0);
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const start = this.#end;
    this.#end += chunk.length;
    this.#candidates = this.#scan(this.#candidates, bytes, start);
    return this.#emit(this.#open);
  }

  /** Whether bytes are held back. */
  get pending(): boolean {
    return this.#base < this.#end;
  }

  /**
   * Call after a pause: writes what would be at most three characters of a secret, so that a prompt that ends like
   * the start of a secret is visible. A longer start stays held back, or is written as a mask with `all`: nothing is
   * held back longer than that. The rest of a secret is still masked when it follows.
   */
  release(all: boolean): Buffer {
    // How much of a secret this may be, including what was written at earlier pauses.
    const depth = this.#end - this.#open;
    const covered = this.#runs.at(-1)?.to === this.#end;
    if (depth > RELEASABLE && !covered) {
      if (!all) return Buffer.alloc(0);
      this.#mark(this.#open, this.#lastOfLine);
    }
    return this.#emit(this.#end);
  }

  /**
   * The rest, at the end of the stream. A partial match is masked if it is at least half of a secret, or as long as a
   * line that is masked by itself; a shorter one may be the end of any output.
   */
  end(): Buffer {
    for (const { from, state } of this.#candidates)
      if (state.hasMost(MIN_LINE_BYTES, RELEASABLE + 1)) this.#mark(from, this.#lastOfLine);
    return this.#emit(this.#end);
  }

  /** The end without line breaks: a folded secret continues after them, and any other output ends with them. */
  get #lastOfLine(): number {
    let length = this.#bytes.length;
    while (length > 0 && [0x0a, 0x0d].includes(this.#bytes[length - 1] as number)) length -= 1;
    return this.#from + length;
  }

  /** The start of the first candidate; candidates that end later don't start earlier. */
  get #open(): number {
    return this.#candidates[0]?.from ?? this.#end;
  }

  #scan(begun: readonly Candidate[], bytes: Uint8Array, start: number): Candidate[] {
    return scan(this.#matcher, begun, bytes, start, (from, to) => this.#mark(from, to));
  }

  #mark(found: number, end: number): void {
    let from = Math.max(found, this.#base);
    let to = end;
    if (to <= from) return;
    let written = found < this.#maskedTo;
    const runs = this.#runs;
    let at = runs.length;
    while (at > 0 && (runs[at - 1] as Run).to > from) at -= 1;
    let after = at;
    for (let run = runs[after]; run !== undefined && run.from < to; run = runs[after]) {
      from = Math.min(from, run.from);
      to = Math.max(to, run.to);
      written ||= run.written;
      after += 1;
    }
    runs.splice(at, after - at, { from, to, written });
  }

  #emit(safe: number): Buffer {
    const parts: Buffer[] = [];
    let position = this.#base;
    for (;;) {
      const run = this.#runs[0];
      const stop = run === undefined ? safe : Math.min(run.from, safe);
      if (stop > position) {
        parts.push(this.#bytes.subarray(position - this.#from, stop - this.#from));
        position = stop;
      }
      // The start of a run is certain once it is before `safe`; its bytes need not be kept then.
      if (run === undefined || run.from >= safe) break;
      if (!run.written) parts.push(Buffer.from(MASK));
      run.written = true;
      position = Math.max(position, Math.min(run.to, safe));
      if (run.to > safe) break;
      this.#maskedTo = run.to;
      this.#runs.shift();
    }
    this.#base = position;
    // What was written at a pause may be the start of a secret of the next masker.
    const keep = Math.min(this.#base, this.#open);
    const rest = this.#bytes.subarray(keep - this.#from);
    // A copy, so that a few bytes held back don't keep the whole chunk alive or change with it.
    this.#bytes = rest.length === 0 ? Buffer.alloc(0) : Buffer.from(rest);
    this.#from = keep;
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }
}
