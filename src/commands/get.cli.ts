import type { CommandSpec } from './command.ts';

export const get: CommandSpec = {
  name: 'get',
  group: 'Secrets',
  summary: 'Print a secret, or one key of it',
  description:
    'Prints the value and nothing else, without a newline. Adds a newline on a terminal, with --newline, and ' +
    'after each of several values.',
  args: [{ name: '<ref...>', description: 'Secret to read: STORE://NAME[?version=ID|?stage=STAGE][#KEY]' }],
  options: [
    { flags: '-n, --newline', description: 'End the value with a newline' },
    { flags: '-o, --out <file>', description: 'Write the value to this file (mode 0600) instead of stdout' },
    { flags: '--raw', description: 'Print control characters and binary data to a terminal' },
    { flags: '--metadata', description: 'Print the metadata of the secret, without its value' },
    { flags: '--default <value>', description: 'Print this value for a missing secret or key' },
  ],
  examples: [
    {
      command: 'secrets get payments/db#password',
      does: 'Print one key of a JSON secret in the default store',
    },
    {
      command: "secrets get 'prod://payments/db?stage=previous'",
      does: 'Print the previous version',
    },
    {
      command: 'secrets get tls/cert --out cert.pem',
      does: 'Write the value to a file that only you can read',
    },
  ],
  completes: 'reference',
  load: () => import('./get.ts'),
};
