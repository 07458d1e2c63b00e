/** The output and prompts of a command: results go to stdout, everything else to stderr and the terminal. */
import type { World } from '../platform/world.ts';
import { jsonText, singleLine } from '../core/text/sanitize.ts';
import type { Output, OutputOptions } from './output.ts';
import type { Progress } from './progress.ts';
import { StatusLine } from './status-line.ts';
import { StderrLines } from './stderr-lines.ts';

/** What a prompt has to do with the run: an interrupt closes it, and Ctrl-C at it interrupts the run. */
interface InterruptibleRun {
  readonly interrupt: { readonly signal: AbortSignal };
  stop(): void;
}

export class Console implements Output {
  readonly world: World;
  readonly options: OutputOptions;
  readonly statusLine: StatusLine;
  readonly #run: InterruptibleRun;
  readonly #lines: StderrLines;
  #progress: Progress | undefined;
  #terminalGiven = false;
  /** Aborted by an interrupt, and when nobody needs the answers to the questions any more. Made at the first question. */
  #questions: AbortController | undefined;
  #isUnneeded = false;

  constructor(world: World, options: OutputOptions, run: InterruptibleRun) {
    this.world = world;
    this.options = options;
    this.#run = run;
    this.statusLine = new StatusLine(world);
    this.#lines = new StderrLines(world, () => this.statusLine.clear());
  }

  /** Writes the result, which is all that goes to stdout. */
  async print(text: string | Uint8Array): Promise<void> {
    this.endProgress();
    // On the terminal where a question is open, output would be written into it.
    if (this.world.stdout.isTTY === true) {
      await this.statusLine.answered;
      this.statusLine.clear();
    }
    if (this.#lines.written !== undefined) await this.#lines.written;
    return new Promise((resolve, reject) => {
      this.world.stdout.write(text, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  /** Writes the result as JSON. */
  printJson(value: unknown): Promise<void> {
    return this.print(`${jsonText(value, 2)}\n`);
  }

  /** A warning on stderr, unless `--quiet`. */
  warn(message: string): void {
    this.endProgress();
    if (this.options.quiet !== true) this.#lines.write(`warning: ${message}`);
  }

  /** A note on stderr for a person at a terminal; scripts don't see it. */
  note(message: string): void {
    this.endProgress();
    if (this.options.quiet !== true && this.world.stderr.isTTY === true) {
      this.statusLine.clear();
      this.world.stderr.write(`${singleLine(message)}\n`);
    }
  }

  /** A line on stderr with `--debug`. */
  debug(message: string): void {
    if (this.options.debug === true) this.#lines.write(`debug: ${message}`);
  }

  /** Resolves when every warning is written. */
  said(): Promise<void> | undefined {
    return this.#lines.written;
  }

  /** Shows what is being waited for, until the next line of output. */
  async showProgress(message: string): Promise<void> {
    if (this.#terminalGiven) return;
    const { startProgress } = await import('./progress.ts');
    this.#progress ??= startProgress(this);
    this.#progress.update(message);
  }

  /** Removes the progress line. */
  endProgress(): void {
    this.#progress?.done();
    this.#progress = undefined;
  }

  /** From now on the terminal belongs to a child: no prompts or progress. */
  giveTerminal(): void {
    this.endProgress();
    this.#terminalGiven = true;
  }

  /** Whether a person can answer a prompt. */
  get canAsk(): boolean {
    return !this.#terminalGiven && this.world.stdin.isTTY === true && this.world.stderr.isTTY === true;
  }

  /**
   * Asks for a secret at the terminal without echo. Ctrl-C ends the whole command.
   * @throws SecretsError Usage without a terminal
   */
  askHidden(question: string): Promise<string> {
    return this.#prompt(async () =>
      (await import('./prompt.ts')).askHidden(this.world, question, this.#signal),
    );
  }

  /** Asks for a line of text at the terminal; otherwise like `askHidden`. */
  ask(question: string): Promise<string> {
    return this.#prompt(async () => (await import('./prompt.ts')).ask(this.world, question, this.#signal));
  }

  /** Closes the questions that are open, because nobody needs their answers any more. */
  closeQuestions(): void {
    this.#isUnneeded = true;
    this.#questions?.abort();
  }

  get #signal(): AbortSignal {
    if (this.#questions !== undefined) return this.#questions.signal;
    const questions = new AbortController();
    this.#questions = questions;
    const { signal } = this.#run.interrupt;
    signal.addEventListener('abort', () => questions.abort(), { once: true });
    if (signal.aborted || this.#isUnneeded) questions.abort();
    return questions.signal;
  }

  async #prompt(ask: () => Promise<string>): Promise<string> {
    try {
      return await this.statusLine.ask(ask);
    } catch (thrown) {
      // In raw mode Ctrl-C is a key, not a signal, but must have the same effect.
      if (thrown instanceof Error && thrown.name === 'Interrupted' && !this.#isUnneeded) this.#run.stop();
      throw thrown;
    }
  }
}
