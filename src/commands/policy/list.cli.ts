import type { CommandSpec } from '../command.ts';

export const policyList: CommandSpec = {
  name: 'list',
  group: 'Access',
  summary: 'List the policies in use',
  description: 'Every layer that has a file must allow a call: the machine’s, yours, and the project’s.',
  options: [
    {
      flags: '--unused <since>',
      description: 'Only permits that allowed nothing since then, by the audit log: 90d, or a date',
    },
  ],
  examples: [
    { command: 'secrets policy list', does: 'Show every policy with its layer, effect and place' },
    { command: 'secrets policy list --unused 90d', does: 'Find permits that nobody needs' },
  ],
  load: () => import('./list.ts'),
};
