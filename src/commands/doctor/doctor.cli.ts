import type { CommandSpec } from '../command.ts';

export const doctor: CommandSpec = {
  name: 'doctor',
  group: 'Stores',
  summary: 'Diagnose problems, and show your identity in each store',
  args: [{ name: '[store...]', description: 'Stores to check (default: the project’s)' }],
  options: [
    {
      flags: '--plugin <program>',
      description: 'Test a provider plugin instead: its name, or the path of the program',
    },
    {
      flags: '--plugin-setting <name=value>',
      description: 'Setting to pass to the plugin (repeatable)',
      repeat: true,
    },
    {
      flags: '--plugin-env <name>',
      description: 'Extra variable to pass to the plugin (repeatable)',
      repeat: true,
    },
  ],
  examples: [
    { command: 'secrets doctor', does: 'Check settings, credentials, reachability, clocks and permissions' },
    { command: 'secrets doctor prod --json', does: 'Check one store and print JSON' },
    {
      command: 'secrets doctor --plugin ./secrets-provider-files --plugin-setting folder=/tmp/files',
      does: 'Test a plugin, with secrets of its own that it deletes again',
    },
  ],
  completes: 'store',
  load: () => import('./doctor.ts'),
};
