import type { CommandSpec } from './command.ts';

export const list: CommandSpec = {
  name: 'list',
  aliases: ['ls'],
  group: 'Secrets',
  summary: 'list the names of secrets',
  description: 'Names are printed as they arrive, one a line. With --json, one object a line.',
  args: [
    {
      name: '[prefix]',
      description: 'only names that start with this: [STORE://][PREFIX], with or without a * at its end',
    },
  ],
  options: [
    { flags: '-l, --long', description: 'a table with version, dates and labels' },
    {
      flags: '--filter <label=value>',
      description: 'only secrets with this label; may be repeated',
      repeat: true,
    },
    { flags: '--deleted', description: 'also secrets that are deleted and can be restored' },
    { flags: '--all-stores', description: 'over every store of the project' },
  ],
  examples: [
    { command: 'secrets list payments/', does: 'what is under payments/ in the default store' },
    { command: 'secrets list prod:// --long', does: 'everything in store prod, with details' },
    { command: 'secrets list --filter team=web --json', does: 'by label, for programs' },
  ],
  completes: 'reference',
  load: () => import('./list.ts'),
};
