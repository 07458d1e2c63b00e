/** A progress line on stderr, on a terminal, after half a second. */
import type { Output } from './output.ts';

const PATIENCE_MS = 500;
const REDRAW_MS = 100;

export interface Progress {
  update(text: string): void;
  /** Removes the line. */
  done(): void;
}

export interface StepProgress {
  /** Shows the current step of a secret and prints it with `--debug` when it changes; without a text, removes it. */
  show(reference: string, text: string | undefined): void;
  done(): void;
}

/** Progress of several secrets at a time, step by step. */
export function startSteps(output: Output): StepProgress {
  const progress = startProgress(output);
  const doing = new Map<string, string>();
  return {
    show(reference, text) {
      if (text !== undefined && doing.get(reference) !== text) output.debug(`${reference}: ${text}`);
      if (text === undefined) doing.delete(reference);
      else doing.set(reference, text);
      progress.update([...doing].map(([name, what]) => `${name}: ${what}`).join('  '));
    },
    done: () => progress.done(),
  };
}

export function startProgress(output: Output): Progress {
  if (output.world.stderr.isTTY !== true || output.options.quiet === true || output.options.json === true) {
    return { update: () => {}, done: () => {} };
  }
  const started = Date.now();
  let drawn = 0;
  return {
    update(text) {
      const now = Date.now();
      if (now - started < PATIENCE_MS || now - drawn < REDRAW_MS) return;
      drawn = now;
      output.statusLine.draw(text);
    },
    done() {
      output.statusLine.clear();
    },
  };
}
