/**
 * Masks secrets in a stream of bytes: every value, the secrets inside of it, each in any spelling that encoders give
 * its characters (spellings.ts) and in base64 and hexadecimal (patterns.ts), across chunk and line borders.
 *
 * A table of two bytes finds where a pattern may begin; from there the automaton of matcher.ts goes on until none is
 * possible any more. Bytes that may be the beginning of a secret are held back until they are one or are not. A
 * pattern has 64 characters at most (longer values are looked for in overlapping pieces), which bounds the bytes
 * that wait and the time for each byte of output, whatever the values are. Delay: `release`.
 */
import { SecretsError } from '../errors.ts';
import { Matcher, type State } from './matcher.ts';
import { type Pattern, patternsOf } from './patterns.ts';
import { MIN_LINE_BYTES } from './secret-forms.ts';

export { MIN_SECRET_BYTES } from './secret-forms.ts';

/** What is shown instead. Overlapping secrets share one. */
export const MASK = '***';
/** After a short pause this many bytes of a possible secret are let go: what a prompt or a line may end with. */
const RELEASABLE = 3;
/** Characters of all patterns together: about 200 MB. */
const MAX_CHARACTERS = 2 ** 25;

/** A run of masked bytes: positions in the stream, `to` exclusive. */
interface Run {
  from: number;
  to: number;
  /** The mask is out already; more bytes of the same run add nothing. */
  written: boolean;
}

/** A possible secret whose end is not here yet. */
interface Candidate {
  readonly from: number;
  state: State;
}

/** What to look for: built once, used by any number of streams. */
export class Masker {
  readonly matcher: Matcher;

  /**
   * @param maxCharacters bound of the patterns' size
   * @throws SecretsError Invalid when the values are too many to be masked within that
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

  /** A new stream that is looked at for these. */
  stream(): MaskedStream {
    return new MaskedStream(this);
  }

  /** Whether a text shows any of the values. */
  finds(text: Uint8Array): boolean {
    let found = false;
    scan(this.matcher, [], text, 0, () => (found = true));
    return found;
  }
}

function tooMuch(): SecretsError {
  return new SecretsError('Invalid', 'there is too much secret text to mask it in the output', {
    hint: 'give fewer or smaller values, or use --no-redact',
  });
}

function distinct(values: Iterable<Uint8Array>): Iterable<Uint8Array> {
  const known = new Map<string, Uint8Array>();
  for (const value of values) known.set(Buffer.from(value).toString('latin1'), value);
  return known.values();
}

type Found = (from: number, to: number) => void;

/**
 * Goes through a chunk that begins at a position of the stream, with what has begun before; tells of each end of a
 * match.
 * @returns what may go on after the chunk, in order
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
    // Most of the output ends here …
    if (pairs[pair] === 0) continue;
    const state = second[pair] ?? matcher.start(pair);
    // … and most of the rest with the third byte.
    if (state === null || (at + 1 < last && state.table?.[chunk[at + 2] as number] === null)) continue;
    follow(start + at, state, at + 2);
  }
  const state = last >= 0 ? matcher.first(chunk[last] as number) : null;
  if (state !== null) open.push({ from: start + last, state });
  return open;
}

/** One stream being masked. What it gives does not depend on how the input is cut, unless `release` is used. */
export class MaskedStream {
  #matcher: Matcher;
  #candidates: Candidate[] = [];
  /** The last bytes, the first at position `#from` of the stream; those before `#base` are written. */
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;
  #base = 0;
  #end = 0;
  /** Masked runs that are not out yet, in order, apart from each other. */
  #runs: Run[] = [];
  /** Where the last mask that is out ends. */
  #maskedTo = 0;

  constructor(masker: Masker) {
    this.#matcher = masker.matcher;
  }

  /**
   * From here on looks for the values of this one, which must know those of the one before as well: what has begun
   * with them goes on.
   */
  switchTo(masker: Masker): void {
    this.#matcher = masker.matcher;
    this.#candidates = this.#scan([], this.#bytes, this.#from);
  }

  /** What can be written after this chunk. */
  write(chunk: Uint8Array): Buffer {
    if (chunk.length === 0) return Buffer.alloc(0);
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const start = this.#end;
    this.#end += chunk.length;
    this.#candidates = this.#scan(this.#candidates, bytes, start);
    return this.#emit(this.#open);
  }

  /** Whether bytes wait for what follows. */
  get pending(): boolean {
    return this.#base < this.#end;
  }

  /**
   * After a pause: lets go what would be at most three characters of a secret, so that a prompt that ends as a
   * secret begins is seen. A longer beginning stays, or is given as a mask with `all`: then nothing waits longer.
   * The rest of a secret is masked all the same when it follows.
   */
  release(all: boolean): Buffer {
    // How much of a secret this may be, counting what was let go at earlier pauses.
    const depth = this.#end - this.#open;
    const covered = this.#runs.at(-1)?.to === this.#end;
    if (depth > RELEASABLE && !covered) {
      if (!all) return Buffer.alloc(0);
      this.#mark(this.#open, this.#lastOfLine);
    }
    return this.#emit(this.#end);
  }

  /**
   * The rest, at the end of the stream. What it breaks off in is masked when that is half of a secret or more, or as
   * long as a line that is masked by itself; less may be the end of any output.
   */
  end(): Buffer {
    for (const { from, state } of this.#candidates)
      if (state.hasMost(MIN_LINE_BYTES, RELEASABLE + 1)) this.#mark(from, this.#lastOfLine);
    return this.#emit(this.#end);
  }

  /** The end without line breaks, which a secret that is folded goes on after, and any other output ends with. */
  get #lastOfLine(): number {
    let length = this.#bytes.length;
    while (length > 0 && [0x0a, 0x0d].includes(this.#bytes[length - 1] as number)) length -= 1;
    return this.#from + length;
  }

  /** Where the first possible secret begins: none that ends later begins before. */
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
      // Where a run begins is certain once it lies before `safe`; then its bytes need not be kept.
      if (run === undefined || run.from >= safe) break;
      if (!run.written) parts.push(Buffer.from(MASK));
      run.written = true;
      position = Math.max(position, Math.min(run.to, safe));
      if (run.to > safe) break;
      this.#maskedTo = run.to;
      this.#runs.shift();
    }
    this.#base = position;
    // What was let go at a pause may be the beginning of a secret that others know.
    const keep = Math.min(this.#base, this.#open);
    const rest = this.#bytes.subarray(keep - this.#from);
    // A copy, so that a few bytes that wait don't hold the whole chunk, nor change with it.
    this.#bytes = rest.length === 0 ? Buffer.alloc(0) : Buffer.from(rest);
    this.#from = keep;
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
  }
}
