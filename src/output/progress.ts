/** A line on stderr that says how far something is, on a terminal, once it has taken half a second. */
import type { Session } from '../session.ts';
import { singleLine } from './sanitize.ts';

const PATIENCE_MS = 500;
const REDRAW_MS = 100;

export interface Progress {
  update(text: string): void;
  /** Removes the line. */
  done(): void;
}

export function startProgress(session: Session): Progress {
  const { stderr } = session.world;
  if (stderr.isTTY !== true || session.options.quiet === true || session.options.json === true) {
    return { update: () => {}, done: () => {} };
  }
  const started = Date.now();
  let drawn = 0;
  return {
    update(text) {
      const now = Date.now();
      if (now - started < PATIENCE_MS || now - drawn < REDRAW_MS) return;
      drawn = now;
      stderr.write(`\r\u001b[2K${singleLine(text).slice(0, (stderr.columns ?? 80) - 1)}`);
    },
    done() {
      if (drawn > 0) stderr.write('\r\u001b[2K');
    },
  };
}
