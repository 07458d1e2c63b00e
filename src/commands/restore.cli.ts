import type { CommandSpec } from './command.ts';

export const restore: CommandSpec = {
  name: 'restore',
  group: 'Secrets',
  summary: 'undo a deletion, or make an old version current',
  args: [{ name: '<ref>', description: 'what to restore: STORE://NAME' }],
  options: [
    { flags: '--version <id>', description: 'make this version the current one' },
    { flags: '--dry-run', description: 'say what would be done, change nothing' },
  ],
  examples: [
    { command: 'secrets restore payments/db', does: 'undo `secrets delete`' },
    { command: 'secrets restore payments/db --version 3', does: 'version 3 is what readers get from now on' },
  ],
  completes: 'reference',
  load: () => import('./restore.ts'),
};
