/** What is ready to start. */
import type { Variable } from '../../exec/sources.ts';
import type { Start } from '../../exec/start.ts';

/** A program that is found, the variables for it, and those of them that become files when it starts. */
export interface Prepared extends Start {
  readonly files: readonly Variable[];
}
