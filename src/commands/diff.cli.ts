import { replaceOption } from './copy.cli.ts';
import type { CommandSpec } from './command.ts';

export const diff: CommandSpec = {
  name: 'diff',
  group: 'Transfer',
  summary: 'compare the secrets of two places',
  description:
    'Says which secrets are on one side only and which differ, and the names of the keys that differ. Values are ' +
    'compared in memory and never shown. Values that are the same JSON written in another way are the same.',
  args: [
    { name: '<a>', description: 'STORE://NAME, STORE://PREFIX/ or STORE://PREFIX*' },
    { name: '<b>', description: 'the same on the other side' },
  ],
  options: [
    replaceOption,
    { flags: '--exit-code', description: 'end with 1 when they differ, as `git diff --exit-code` does' },
  ],
  examples: [
    { command: 'secrets diff staging://payments/ prod://payments/', does: 'names and keys, never values' },
    { command: 'secrets diff vault://app prod://app --exit-code', does: 'for a check in CI' },
  ],
  completes: 'reference',
  load: () => import('./diff.ts'),
};
