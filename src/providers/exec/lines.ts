/** Cuts what a program writes into lines, none longer than a bound. */

export class LineSplitter {
  readonly #onLine: (line: Buffer) => void;
  readonly #limit: () => number;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(onLine: (line: Buffer) => void, limit: () => number) {
    this.#onLine = onLine;
    this.#limit = limit;
  }

  /** @returns false when a line is longer than the bound: nothing more is to be read then */
  push(chunk: Buffer): boolean {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      if (this.#length + end > this.#limit()) return false;
      const line =
        this.#length === 0 ? rest.subarray(0, end) : Buffer.concat([...this.#pieces, rest.subarray(0, end)]);
      this.#pieces = [];
      this.#length = 0;
      rest = rest.subarray(end + 1);
      this.#onLine(line);
    }
    if (rest.length > 0) this.#pieces.push(rest);
    this.#length += rest.length;
    return this.#length <= this.#limit();
  }

  /** Bytes of a line that has no end yet. */
  get unfinished(): number {
    return this.#length;
  }
}
