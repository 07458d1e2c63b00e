import type { CommandSpec } from '../command.ts';

export const auditSinks: CommandSpec = {
  name: 'sinks',
  group: 'Audit',
  summary: 'Show the state of each audit sink',
  description: 'Shows how many records wait, when each sink last accepted some, and what went wrong.',
  examples: [{ command: 'secrets audit sinks', does: 'Check that every sink is up to date' }],
  load: () => import('./sinks.ts'),
};
