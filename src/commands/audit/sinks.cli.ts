import type { CommandSpec } from '../command.ts';

export const auditSinks: CommandSpec = {
  name: 'sinks',
  group: 'Audit',
  summary: 'where records are sent to: how many wait, when each sink last took some, what went wrong',
  examples: [{ command: 'secrets audit sinks', does: 'look whether every sink is up to date' }],
  load: () => import('./sinks.ts'),
};
