import type { CommandSpec } from './command.ts';

export const get: CommandSpec = {
  name: 'get',
  group: 'Secrets',
  summary: 'print a secret, or one key of it',
  description:
    'Prints the value and nothing else. No newline is added unless stdout is a terminal; --newline adds it always. ' +
    'Several references print one value a line.',
  args: [{ name: '<ref...>', description: 'what to read: STORE://NAME[?version=ID|?stage=STAGE][#KEY]' }],
  options: [
    { flags: '-n, --newline', description: 'end the value with a newline' },
    { flags: '-o, --out <file>', description: 'write the value to this file (mode 0600) instead of stdout' },
    { flags: '--raw', description: 'print control characters and binary to a terminal too' },
    { flags: '--metadata', description: 'print what is known of the secret, without its value' },
    { flags: '--default <value>', description: 'print this when there is no such secret or key' },
  ],
  examples: [
    { command: 'secrets get payments/db#password', does: 'one key of a JSON secret in the default store' },
    {
      command: "secrets get 'prod://payments/db?stage=previous'",
      does: 'the version before the current one',
    },
    { command: 'secrets get tls/cert --out cert.pem', does: 'into a file that only you can read' },
  ],
  completes: 'reference',
  load: () => import('./get.ts'),
};
