import type { CommandSpec } from './spec.ts';

export const doctor: CommandSpec = {
  name: 'doctor',
  group: 'Stores',
  summary: 'find out what is wrong, and who you are in each store',
  args: [{ name: '[store...]', description: 'only these stores; default the project’s' }],
  examples: [
    { command: 'secrets doctor', does: 'settings, credentials, reachability, clocks, permissions' },
    { command: 'secrets doctor prod --json', does: 'one store, for programs' },
  ],
  completes: 'store',
  load: () => import('./doctor.ts'),
};
