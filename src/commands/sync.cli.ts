import { replaceOption } from './copy.cli.ts';
import type { CommandSpec } from './command.ts';

export const sync: CommandSpec = {
  name: 'sync',
  group: 'Transfer',
  summary: 'Update one place to match another',
  description:
    'Copies secrets that the target lacks or that differ. With --delete, also deletes secrets that only the ' +
    'target has. On a terminal, shows the plan and asks first; elsewhere, --delete needs --yes.',
  args: [
    { name: '<source>', description: 'STORE://PREFIX/ or STORE://PREFIX*, or STORE:// for everything' },
    { name: '<target>', description: 'The same form, on the other side' },
  ],
  options: [
    { flags: '--delete', description: 'Delete secrets missing from the source (soft-delete where possible)' },
    { flags: '--no-labels', description: 'Skip labels and descriptions' },
    replaceOption,
    { flags: '-y, --yes', description: 'Skip the confirmation' },
    { flags: '--dry-run', description: 'Show the plan without carrying it out' },
  ],
  examples: [
    { command: 'secrets sync vault://payments/ dr://payments/', does: 'Keep a second region up to date' },
    {
      command: 'secrets sync team:// backup:// --delete --dry-run',
      does: 'Show what would be copied and deleted',
    },
  ],
  completes: 'reference',
  load: () => import('./sync.ts'),
};
