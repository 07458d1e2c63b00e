/** What was found by looks that are made again and again: only what is new is worth a record. */
export class PollDedup {
  readonly #last = new Map<string, string>();

  /**
   * Records a look unless the one before it, of the same thing, found the same.
   * @param write rejects when the record could not be made: then the next look makes it
   */
  async record(of: unknown, found: unknown, write: () => Promise<void>): Promise<void> {
    const key = JSON.stringify(of);
    const text = JSON.stringify(found);
    if (this.#last.get(key) === text) return;
    await write();
    this.#last.set(key, text);
  }
}
