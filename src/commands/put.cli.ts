import type { CommandSpec } from './command.ts';

export const put: CommandSpec = {
  name: 'put',
  aliases: ['set'],
  group: 'Secrets',
  summary: 'write a new version of a secret',
  description:
    'The value comes from stdin as it is (every byte, a last newline too), from a file, from a hidden prompt, or is ' +
    'generated. With #KEY in the reference, KEY=- or --key, one key of a JSON secret is set and the others stay. An ' +
    'empty value is refused unless --allow-empty: it is what a pipeline that failed leaves.',
  args: [
    { name: '<ref>', description: 'what to write: STORE://NAME[#KEY]' },
    {
      name: '[value]',
      description:
        'KEY=- sets this key of a JSON secret from stdin; a value is refused unless --allow-argv, since process ' +
        'lists and shell histories show arguments',
    },
  ],
  options: [
    { flags: '-f, --from-file <file>', description: 'take the value from this file' },
    {
      flags: '-g, --generate <spec>',
      description: 'make a random value, such as alnum:32; see `secrets generate`',
    },
    {
      flags: '-k, --key <name>',
      description: 'set this key of a JSON secret; may be given several times',
      repeat: true,
    },
    { flags: '--if-version <id>', description: 'only if this is still the current version' },
    { flags: '--if-absent', description: 'only if there is no such secret yet' },
    { flags: '--label <name=value>', description: 'set a label; NAME= removes it', repeat: true },
    { flags: '--description <text>', description: 'set the description' },
    {
      flags: '--expires <when>',
      description: 'date (2027-01-31) or duration (90d) after which it should not be used',
    },
    { flags: '--trim', description: 'leave out a line break at the end of what is piped in, or of the file' },
    { flags: '--allow-empty', description: 'write an empty value' },
    { flags: '--allow-argv', description: 'take the value from the command line all the same' },
    { flags: '--dry-run', description: 'say what would be done, change nothing' },
  ],
  examples: [
    { command: 'printf %s "$TOKEN" | secrets put ci/token', does: 'the value comes from stdin' },
    { command: 'secrets put deploy/key --generate ssh-ed25519', does: 'stores a key pair as a JSON secret' },
    {
      command: 'secrets put payments/db#password --generate alnum:32',
      does: 'a new password, the other keys stay',
    },
    {
      command: 'secrets put tls/cert --from-file cert.pem --expires 90d',
      does: 'a file, with a date to think of it',
    },
    {
      command: 'secrets put app/flags --if-version 4 --from-file flags.json',
      does: 'refuses to overwrite a newer one',
    },
  ],
  completes: 'reference',
  load: () => import('./put.ts'),
};
