import type { CommandSpec } from './command.ts';

export const purge: CommandSpec = {
  name: 'purge',
  group: 'Secrets',
  summary: 'delete a secret for good',
  description: 'Nothing brings it back. Asks for the name at a terminal; scripts say --yes.',
  args: [{ name: '<ref>', description: 'what to purge: STORE://NAME' }],
  options: [
    { flags: '--version <id>', description: 'only this version of it' },
    { flags: '-y, --yes', description: 'do not ask' },
    { flags: '--dry-run', description: 'say what would be done, change nothing' },
  ],
  examples: [
    { command: 'secrets purge payments/old-db', does: 'asks you to type the name' },
    { command: 'secrets purge payments/db --version 2 --yes', does: 'destroy one version' },
  ],
  completes: 'reference',
  load: () => import('./purge.ts'),
};
