import type { CommandSpec } from '../command.ts';

export const policyList: CommandSpec = {
  name: 'list',
  group: 'Access',
  summary: 'List the policies in use',
  description: 'Every layer that has a file must allow a call: the machine’s, yours, and the project’s.',
  examples: [{ command: 'secrets policy list', does: 'Show every policy with its layer, effect and place' }],
  load: () => import('./list.ts'),
};
