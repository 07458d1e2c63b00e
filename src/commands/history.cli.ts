import type { CommandSpec } from './command.ts';

export const history: CommandSpec = {
  name: 'history',
  aliases: ['versions'],
  group: 'Secrets',
  summary: 'List the versions of a secret',
  args: [{ name: '<ref>', description: 'Secret to look up: STORE://NAME' }],
  examples: [
    {
      command: 'secrets history payments/db',
      does: 'List the versions with states and stages, newest first',
    },
    { command: 'secrets history payments/db --json', does: 'List the versions as JSON' },
  ],
  completes: 'reference',
  load: () => import('./history.ts'),
};
