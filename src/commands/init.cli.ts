import type { CommandSpec } from './command.ts';

export const init: CommandSpec = {
  name: 'init',
  group: 'Setup',
  summary: 'Create a secrets.yaml for this project',
  description:
    'Looks for credentials and settings of each kind of store in the environment and the usual files, and for ' +
    'names of variables in .env files. Writes no value and overwrites no file.',
  options: [
    { flags: '--yes', description: 'Skip all questions' },
    { flags: '--dry-run', description: 'Print the file without writing it' },
  ],
  examples: [
    { command: 'secrets init', does: 'Write secrets.yaml in this folder' },
    {
      command: 'secrets init --store vault --dry-run',
      does: 'Preview the file, with vault as the default store',
    },
  ],
  load: () => import('./init.ts'),
};
