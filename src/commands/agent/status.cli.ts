import type { CommandSpec } from '../command.ts';

export const agentStatus: CommandSpec = {
  name: 'status',
  group: 'Injection',
  summary: 'Show whether an agent is running, what it holds, and whether it would answer here',
  description: 'Exits with 3 if no agent is running. Shows no name and no value of a secret.',
  examples: [
    { command: 'secrets agent status', does: 'Show how many values the agent holds, and for how long' },
    { command: 'secrets agent status --json | jq .values', does: 'Print one figure for a script' },
  ],
  load: () => import('./status.ts'),
};
