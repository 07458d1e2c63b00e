import type { CommandSpec } from './command.ts';

export const list: CommandSpec = {
  name: 'list',
  aliases: ['ls'],
  group: 'Secrets',
  summary: 'List the names of secrets',
  description: 'Prints one name per line, as names arrive. With --json, prints one object per line.',
  args: [
    {
      name: '[prefix]',
      description: 'Beginning of the names: [STORE://][PREFIX], with or without a final *',
    },
  ],
  options: [
    { flags: '-l, --long', description: 'Show a table with versions, dates and labels' },
    {
      flags: '--filter <label=value>',
      description: 'Only secrets with this label (repeatable)',
      repeat: true,
    },
    { flags: '--deleted', description: 'Include soft-deleted secrets' },
    { flags: '--all-stores', description: 'List every store of the project' },
  ],
  examples: [
    { command: 'secrets list payments/', does: 'List the secrets under payments/ in the default store' },
    { command: 'secrets list prod:// --long', does: 'List everything in store prod with details' },
    { command: 'secrets list --filter team=web --json', does: 'List secrets with a label as JSON' },
  ],
  completes: 'reference',
  load: () => import('./list.ts'),
};
