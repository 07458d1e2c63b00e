import type { CommandSpec } from './command.ts';

export const init: CommandSpec = {
  name: 'init',
  group: 'Setup',
  summary: 'make a first secrets.yaml from what is found here',
  description:
    'Looks for credentials and settings of each kind of store (in the environment and the usual files), and for the ' +
    'names of variables in .env files. No value is written, and no file is overwritten.',
  options: [
    { flags: '--yes', description: 'ask nothing, also at a terminal' },
    { flags: '--dry-run', description: 'print the file, write nothing' },
  ],
  examples: [
    { command: 'secrets init', does: 'writes secrets.yaml in this folder' },
    {
      command: 'secrets init --store vault --dry-run',
      does: 'what it would write, with vault for bare names',
    },
  ],
  load: () => import('./init.ts'),
};
