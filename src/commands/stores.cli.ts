import type { CommandSpec } from './command.ts';

export const stores: CommandSpec = {
  name: 'stores',
  group: 'Stores',
  summary: 'list the stores, or renew the key of one',
  options: [{ flags: '--check', description: 'ask each store who you are there, all at once' }],
  examples: [
    { command: 'secrets stores', does: 'what is configured, and where' },
    { command: 'secrets stores --check', does: 'also whether each can be reached' },
  ],
  load: () => import('./stores.ts'),
  subcommands: [
    {
      name: 'rekey',
      group: 'Stores',
      summary: 'renew the key of a store that encrypts by itself',
      args: [{ name: '[store]', description: 'name of the store; default local' }],
      options: [
        {
          flags: '--method <method>',
          description: 'keep the new key this way',
          choices: ['keychain', 'key-file', 'passphrase', 'age'],
        },
        {
          flags: '--add-recipient <age1...>',
          description: 'let this age recipient read the store',
          repeat: true,
        },
        {
          flags: '--remove-recipient <age1...>',
          description: 'do not seal for this recipient any more',
          repeat: true,
        },
        {
          flags: '--merge <manifest>',
          description: 'take over the keys of another branch, from its manifest',
          repeat: true,
        },
        { flags: '--dry-run', description: 'say what would be done, change nothing' },
      ],
      examples: [
        { command: 'secrets stores rekey', does: 'a new data key; every version is sealed anew' },
        { command: 'secrets stores rekey --method passphrase', does: 'from now on a passphrase opens it' },
        {
          command: 'secrets stores rekey --merge /tmp/theirs.json',
          does: 'after a merge: two branches renewed the key',
        },
      ],
      completes: 'store',
      load: () => import('./rekey.ts'),
    },
  ],
};
