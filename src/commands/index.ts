/** Every command, one line each. Importing a spec loads none of the work. */
import { get } from './get.spec.ts';
import { put } from './put.spec.ts';
import type { CommandSpec } from './spec.ts';

export const commands: readonly CommandSpec[] = [get, put];
