/**
 * The last line of the terminal, which shows progress. Everything else that appears there takes its place: a line of
 * output that follows it without a line break would become part of it. While a question is open, the line belongs to
 * the question.
 */
import { singleLine } from '../core/text/sanitize.ts';
import type { World } from '../platform/world.ts';

const ERASE = '\r\u001b[2K';

export class StatusLine {
  readonly #world: Pick<World, 'stderr'>;
  #isShown = false;
  /** Resolves when the open questions are answered. */
  #question: Promise<void> | undefined;
  #open = 0;

  constructor(world: Pick<World, 'stderr'>) {
    this.#world = world;
  }

  draw(text: string): void {
    if (this.#question !== undefined) return;
    const { stderr } = this.#world;
    // A terminal that doesn't know its size says 0.
    stderr.write(`${ERASE}${singleLine(text).slice(0, (stderr.columns || 80) - 1)}`);
    this.#isShown = true;
  }

  clear(): void {
    if (this.#isShown) this.#world.stderr.write(ERASE);
    this.#isShown = false;
  }

  /** Asks a question in place of the line. */
  ask(question: () => Promise<string>): Promise<string> {
    this.clear();
    const answer = question();
    this.#question = this.#answers(this.#question, answer);
    return answer;
  }

  async #answers(earlier: Promise<void> | undefined, answer: Promise<string>): Promise<void> {
    this.#open += 1;
    await Promise.allSettled([earlier, answer]);
    this.#open -= 1;
    if (this.#open === 0) this.#question = undefined;
  }

  /** Resolves when no question is open; undefined if none is. */
  get answered(): Promise<void> | undefined {
    return this.#question;
  }
}
