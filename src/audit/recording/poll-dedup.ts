/** Keeps repeated polls from filling the log: a poll is recorded only if its result is new. */
export class PollDedup {
  readonly #last = new Map<string, string>();

  /**
   * Records a poll unless the previous one of the same thing had the same result.
   * @param write rejects if the record couldn't be written; the next poll then writes it
   */
  async record(of: unknown, found: unknown, write: () => Promise<void>): Promise<void> {
    const key = JSON.stringify(of);
    const text = JSON.stringify(found);
    if (this.#last.get(key) === text) return;
    await write();
    this.#last.set(key, text);
  }
}
