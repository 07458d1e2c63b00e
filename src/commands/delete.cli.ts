import type { CommandSpec } from './command.ts';

export const deleteSecret: CommandSpec = {
  name: 'delete',
  aliases: ['rm'],
  group: 'Secrets',
  summary: 'Soft-delete a secret',
  description:
    '`secrets restore` undoes the deletion. Stores without an undo (Vault KV v1) refuse to delete; use `secrets ' +
    'purge` there.',
  args: [{ name: '<ref...>', description: 'Secret to delete: STORE://NAME' }],
  options: [
    { flags: '--window <days>', description: 'Recovery window in days (where supported)' },
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    {
      command: 'secrets delete payments/old-db',
      does: 'Delete a secret (undo with `secrets restore`)',
    },
    {
      command: 'secrets delete prod://payments/old-db --window 7',
      does: 'Keep the secret restorable for seven days',
    },
  ],
  completes: 'reference',
  load: () => import('./delete.ts'),
};
