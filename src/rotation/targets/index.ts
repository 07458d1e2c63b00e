/** Every kind of target, one line each. Importing a descriptor loads no driver. */
import type { TargetDescriptor } from '../target.ts';
import { none } from './none/descriptor.ts';

export const targets: readonly TargetDescriptor[] = [none];
