/** One of the secrets.yaml files that are merged: the user's, then the project's. */
import type { ParsedConfig, ParsedPart } from './parse.ts';

/** A file, and its parts that apply: the file itself, then the chosen profile. */
export interface Layer {
  readonly source: 'user' | 'project';
  readonly parsed: ParsedConfig;
  readonly parts: readonly ParsedPart[];
}
