import type { CommandSpec } from '../command.ts';

export const agentStop: CommandSpec = {
  name: 'stop',
  group: 'Injection',
  summary: 'End the agent',
  description: 'Waits until it has ended. Exits with 3 if no agent is running.',
  examples: [{ command: 'secrets agent stop', does: 'End the agent, such as at logout' }],
  load: () => import('./stop.ts'),
};
