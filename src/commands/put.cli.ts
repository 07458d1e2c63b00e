import type { CommandSpec } from './command.ts';

export const put: CommandSpec = {
  name: 'put',
  aliases: ['set'],
  group: 'Secrets',
  summary: 'Write a new version of a secret',
  description:
    'Reads the value from stdin (every byte, including a final newline), from a file or from a hidden prompt, or ' +
    'generates it. #KEY in the reference, KEY=- or --key sets one key of a JSON secret and leaves the others ' +
    'unchanged. Empty values are rejected unless you pass --allow-empty, because they usually mean an upstream ' +
    'command failed.',
  args: [
    { name: '<ref>', description: 'Secret to write: STORE://NAME[#KEY]' },
    {
      name: '[value]',
      description: 'KEY=- to set this key of a JSON secret from stdin, or a value (with --allow-argv)',
    },
  ],
  options: [
    { flags: '-f, --from-file <file>', description: 'Read the value from this file' },
    {
      flags: '-g, --generate <spec>',
      description: 'Generate a random value, such as alnum:32 (see `secrets help generate`)',
    },
    {
      flags: '-k, --key <name>',
      description: 'Set this key of a JSON secret (repeatable)',
      repeat: true,
    },
    { flags: '--if-version <id>', description: 'Replace only this version; fail if another is current' },
    { flags: '--if-absent', description: 'Create only; fail if the secret already has a value' },
    {
      flags: '--label <name=value>',
      description: 'Set a label, or remove it with NAME= (repeatable)',
      repeat: true,
    },
    { flags: '--description <text>', description: 'Set the description' },
    {
      flags: '--expires <when>',
      description: 'Expiry date (2027-01-31) or lifetime (90d) of the version',
    },
    { flags: '--trim', description: 'Remove one line break from the end of stdin or the file' },
    { flags: '--allow-empty', description: 'Accept an empty value' },
    {
      flags: '--allow-argv',
      description: 'Accept a value given as an argument (visible in process lists and shell history)',
    },
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    { command: 'printf %s "$TOKEN" | secrets put ci/token', does: 'Store a value from stdin' },
    {
      command: 'secrets put deploy/key --generate ssh-ed25519',
      does: 'Store a new SSH key pair as a JSON secret',
    },
    {
      command: 'secrets put payments/db#password --generate alnum:32',
      does: 'Replace the password and keep the other keys',
    },
    {
      command: 'secrets put tls/cert --from-file cert.pem --expires 90d',
      does: 'Store a certificate that expires in 90 days',
    },
    {
      command: 'secrets put app/flags --if-version 4 --from-file flags.json',
      does: 'Replace version 4, but no newer one',
    },
  ],
  completes: 'reference',
  load: () => import('./put.ts'),
};
