/** Splits a program's output into lines of limited length. */

export class LineSplitter {
  readonly #onLine: (line: Buffer) => void;
  readonly #limit: () => number;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(onLine: (line: Buffer) => void, limit: () => number) {
    this.#onLine = onLine;
    this.#limit = limit;
  }

  /** @returns false if a line is longer than the limit; nothing more may be read then */
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

  /** Bytes of the unfinished last line. */
  get unfinished(): number {
    return this.#length;
  }
}
