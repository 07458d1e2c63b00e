import type { CommandSpec } from './command.ts';

export const purge: CommandSpec = {
  name: 'purge',
  group: 'Secrets',
  summary: 'Delete a secret permanently',
  description: 'This cannot be undone. On a terminal, asks you to type the name; scripts need --yes.',
  args: [{ name: '<ref>', description: 'Secret to purge: STORE://NAME' }],
  options: [
    { flags: '--version <id>', description: 'Destroy only this version' },
    { flags: '-y, --yes', description: 'Skip the confirmation' },
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    { command: 'secrets purge payments/old-db', does: 'Purge a secret, with confirmation' },
    {
      command: 'secrets purge payments/db --version 2 --yes',
      does: 'Destroy one version without confirmation',
    },
  ],
  completes: 'reference',
  load: () => import('./purge.ts'),
};
