import type { CommandSpec } from '../command.ts';

export const rotateStatus: CommandSpec = {
  name: 'status',
  group: 'Secrets',
  summary: 'Show the age and next rotation of secrets, most urgent first',
  description: 'Also shows who rotates each secret, and which rotations are overdue or stuck.',
  examples: [
    {
      command: 'secrets rotate status',
      does: 'Show secrets that have a policy or the label rotate-every',
    },
    { command: 'secrets rotate status --json', does: 'Show the same as JSON' },
  ],
  load: () => import('./status.ts'),
};
