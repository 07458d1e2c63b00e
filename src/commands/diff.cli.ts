import { replaceOption } from './copy.cli.ts';
import type { CommandSpec } from './command.ts';

export const diff: CommandSpec = {
  name: 'diff',
  group: 'Transfer',
  summary: 'Compare the secrets of two places',
  description:
    'Lists the secrets that are on one side only, the secrets that differ, and the names of the keys that differ. ' +
    'Values are compared in memory and never shown. The same JSON in another layout counts as equal.',
  args: [
    { name: '<a>', description: 'STORE://NAME, STORE://PREFIX/ or STORE://PREFIX*' },
    { name: '<b>', description: 'The same form, on the other side' },
  ],
  options: [
    replaceOption,
    { flags: '--exit-code', description: 'Exit with 1 on a difference, like `git diff --exit-code`' },
  ],
  examples: [
    { command: 'secrets diff staging://payments/ prod://payments/', does: 'Compare two prefixes' },
    { command: 'secrets diff vault://app prod://app --exit-code', does: 'Fail a CI job on a difference' },
  ],
  completes: 'reference',
  load: () => import('./diff.ts'),
};
