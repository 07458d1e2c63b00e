import type { CommandSpec } from './command.ts';

export const deleteSecret: CommandSpec = {
  name: 'delete',
  aliases: ['rm'],
  group: 'Secrets',
  summary: 'delete a secret so that it can be restored',
  description: 'In a store that can’t undo a deletion (a Vault KV v1 mount) it is refused; use purge there.',
  args: [{ name: '<ref...>', description: 'what to delete: STORE://NAME' }],
  options: [
    { flags: '--window <days>', description: 'how long it can be restored, where the store lets you choose' },
    { flags: '--dry-run', description: 'say what would be done, change nothing' },
  ],
  examples: [
    { command: 'secrets delete payments/old-db', does: 'gone for readers, back with `secrets restore`' },
    { command: 'secrets delete prod://payments/old-db --window 7', does: 'AWS keeps it for seven days' },
  ],
  completes: 'reference',
  load: () => import('./delete.ts'),
};
