/** The output of a command, as far as this folder needs to know a run. */
import type { World } from '../platform/world.ts';
import type { StatusLine } from './status-line.ts';

/** The options that affect output. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly color?: boolean;
}

export interface Output {
  readonly options: OutputOptions;
  /** The streams, and the environment, which decides about colour. */
  readonly world: Pick<World, 'env' | 'stdout' | 'stderr'>;
  /** The line that shows progress on the terminal. */
  readonly statusLine: StatusLine;
  /** Writes the result, which is all that goes to stdout. */
  print(text: string | Uint8Array): Promise<void>;
  /** Writes the result as JSON. */
  printJson(value: unknown): Promise<void>;
  /** A warning on stderr, unless `--quiet`. */
  warn(message: string): void;
  /** A note on stderr for a person at a terminal; scripts don't see it. */
  note(message: string): void;
  /** A line on stderr with `--debug`. */
  debug(message: string): void;
}
