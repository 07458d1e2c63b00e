import type { CommandSpec } from '../command.ts';

export const agentClear: CommandSpec = {
  name: 'clear',
  group: 'Injection',
  summary: 'Make the agent forget every value that it holds',
  description:
    'Stores stay open. secrets put, rotate and the like do this by themselves for their kind of store.',
  examples: [{ command: 'secrets agent clear', does: 'Read every secret from its store again' }],
  load: () => import('./clear.ts'),
};
