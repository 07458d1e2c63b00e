/** A secrets.yaml among those that are joined: the user's, and the project's over it. */
import type { ParsedConfig, ParsedPart } from './parse.ts';

/** A file, and those of its parts that count: the file itself, then the chosen profile. */
export interface Layer {
  readonly source: 'user' | 'project';
  readonly parsed: ParsedConfig;
  readonly parts: readonly ParsedPart[];
}
