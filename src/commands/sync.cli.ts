import { replaceOption } from './copy.cli.ts';
import type { CommandSpec } from './command.ts';

export const sync: CommandSpec = {
  name: 'sync',
  group: 'Transfer',
  summary: 'make the secrets of one place like those of another',
  description:
    'Copies what the target lacks or has otherwise; with --delete also deletes what only the target has. On a ' +
    'terminal the plan is shown and confirmed first; without one, --delete needs --yes.',
  args: [
    { name: '<source>', description: 'STORE://PREFIX/ or STORE://PREFIX*, or STORE:// for everything' },
    { name: '<target>', description: 'the same on the other side' },
  ],
  options: [
    { flags: '--delete', description: 'delete what only the target has (softly, where it can)' },
    { flags: '--no-labels', description: 'leave labels and descriptions behind' },
    replaceOption,
    { flags: '-y, --yes', description: 'do not ask' },
    { flags: '--dry-run', description: 'show the plan, change nothing' },
  ],
  examples: [
    { command: 'secrets sync vault://payments/ dr://payments/', does: 'a second region, kept the same' },
    { command: 'secrets sync team:// backup:// --delete --dry-run', does: 'what it would copy and delete' },
  ],
  completes: 'reference',
  load: () => import('./sync.ts'),
};
