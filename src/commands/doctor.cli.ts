import type { CommandSpec } from './command.ts';

export const doctor: CommandSpec = {
  name: 'doctor',
  group: 'Stores',
  summary: 'find out what is wrong, and who you are in each store',
  args: [{ name: '[store...]', description: 'only these stores; default the project’s' }],
  options: [
    {
      flags: '--plugin <program>',
      description: 'try out a provider plugin: its name, or the path of the program',
    },
    {
      flags: '--plugin-setting <name=value>',
      description: 'a setting that the plugin is told (may be repeated)',
      repeat: true,
    },
    {
      flags: '--plugin-env <name>',
      description: 'a variable that the plugin gets beside the usual ones (may be repeated)',
      repeat: true,
    },
  ],
  examples: [
    { command: 'secrets doctor', does: 'settings, credentials, reachability, clocks, permissions' },
    { command: 'secrets doctor prod --json', does: 'one store, for programs' },
    {
      command: 'secrets doctor --plugin ./secrets-provider-files --plugin-setting folder=/tmp/files',
      does: 'whether a plugin keeps the contract; writes under names of its own and deletes them',
    },
  ],
  completes: 'store',
  load: () => import('./doctor.ts'),
};
