import type { CommandSpec } from '../command.ts';

export const storesRekey: CommandSpec = {
  name: 'rekey',
  group: 'Stores',
  summary: 'Renew the encryption key of a store',
  description: 'For stores that encrypt by themselves, such as local.',
  args: [{ name: '[store]', description: 'Name of the store (default local)' }],
  options: [
    {
      flags: '--method <method>',
      description: 'Method of keeping the new key',
      choices: ['keychain', 'key-file', 'passphrase', 'age'],
    },
    {
      flags: '--add-recipient <age1...>',
      description: 'Let this age recipient read the store (repeatable)',
      repeat: true,
    },
    {
      flags: '--remove-recipient <age1...>',
      description: 'Stop encrypting for this recipient (repeatable)',
      repeat: true,
    },
    {
      flags: '--merge <manifest>',
      description: 'Add the keys of another branch from its manifest (repeatable)',
      repeat: true,
    },
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    { command: 'secrets stores rekey', does: 'Create a new data key and encrypt every version with it' },
    {
      command: 'secrets stores rekey --method passphrase',
      does: 'Protect the store with a passphrase from now on',
    },
    {
      command: 'secrets stores rekey --merge /tmp/theirs.json',
      does: 'Merge two branches that both renewed the key',
    },
  ],
  completes: 'store',
  load: () => import('./rekey.ts'),
};
