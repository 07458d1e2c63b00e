/** Flags that several verbs of rotate take. */
import type { OptionSpec } from '../command.ts';

export const takeOver: OptionSpec = {
  flags: '--take-over',
  description: 'Take over at once from a process known to be dead',
};
export const withoutTarget: OptionSpec = {
  flags: '--without-target',
  description: 'Proceed without a policy, for values used by no other system',
};
export const notify: OptionSpec = {
  flags: '--notify <what>',
  description: 'Report each outcome to an https URL or a program (repeatable)',
  repeat: true,
};
export const wait: OptionSpec = {
  flags: '--wait <duration>',
  description: 'Time to wait for the store’s own rotation (default 15m; 0 for no wait)',
};
export const dryRun: OptionSpec = {
  flags: '--dry-run',
  description: 'Show what would be done without doing it',
};
