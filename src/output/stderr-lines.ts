/** Writes lines to stderr, without confidential parts. */
import type { World } from '../platform/world.ts';
import { clean, knowsSpellings, learnSpellings } from './confidential.ts';
import { singleLine } from '../core/text/sanitize.ts';

/** Writes in order; lines wait until every spelling of what they must not contain is known. */
export class StderrLines {
  readonly #world: World;
  readonly #before: () => void;
  readonly #waiting: string[] = [];
  #written: Promise<void> | undefined;

  /** @param before called before lines are written */
  constructor(world: World, before: () => void = () => {}) {
    this.#world = world;
    this.#before = before;
  }

  write(line: string): void {
    this.#waiting.push(line);
    if (knowsSpellings(this.#world)) this.#writeAll();
    else this.#written ??= learnSpellings(this.#world).then(() => this.#writeAll());
  }

  /** Resolves when every line is written; `undefined` if none is waiting. */
  get written(): Promise<void> | undefined {
    return this.#waiting.length > 0 ? this.#written : undefined;
  }

  #writeAll(): void {
    this.#before();
    for (const line of this.#waiting.splice(0))
      this.#world.stderr.write(`secrets: ${singleLine(clean(line, this.#world))}\n`);
  }
}
