import type { CommandSpec } from './command.ts';

export const history: CommandSpec = {
  name: 'history',
  aliases: ['versions'],
  group: 'Secrets',
  summary: 'list the versions of a secret',
  args: [{ name: '<ref>', description: 'whose versions: STORE://NAME' }],
  examples: [
    { command: 'secrets history payments/db', does: 'newest first, with states and stages' },
    { command: 'secrets history payments/db --json', does: 'for programs' },
  ],
  completes: 'reference',
  load: () => import('./history.ts'),
};
