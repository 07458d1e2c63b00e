import type { CommandSpec } from './command.ts';

export const restore: CommandSpec = {
  name: 'restore',
  group: 'Secrets',
  summary: 'Undo a deletion, or make an old version current',
  args: [{ name: '<ref>', description: 'Secret to restore: STORE://NAME' }],
  options: [
    { flags: '--version <id>', description: 'Version to make current' },
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    { command: 'secrets restore payments/db', does: 'Undo `secrets delete`' },
    { command: 'secrets restore payments/db --version 3', does: 'Make version 3 the current one again' },
  ],
  completes: 'reference',
  load: () => import('./restore.ts'),
};
