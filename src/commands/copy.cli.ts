import type { CommandSpec, OptionSpec } from './command.ts';

/** Options that copy, sync and diff share. */
export const replaceOption: OptionSpec = {
  flags: '--replace <from=to>',
  description:
    'replace this in every name, for stores with other alphabets: /=--; may be given several times',
  repeat: true,
};

export const copy: CommandSpec = {
  name: 'copy',
  aliases: ['cp'],
  group: 'Transfer',
  summary: 'copy secrets from one store to another',
  description:
    'One secret, or all under a prefix that ends in / or * (STORE:// is everything). What the target has already is left ' +
    'alone; what differs gets a new version. Everything is read and checked against the limits of the target before ' +
    'the first write, and a copy that was interrupted goes on where it stopped. No value is ever shown.',
  args: [
    { name: '<source>', description: 'STORE://NAME, STORE://PREFIX/ or STORE://PREFIX*' },
    { name: '<target>', description: 'the same on the other side' },
  ],
  options: [
    { flags: '--history', description: 'copy every version, oldest first, instead of the current one' },
    { flags: '--no-labels', description: 'leave labels and descriptions behind' },
    replaceOption,
    { flags: '--dry-run', description: 'say what would be done, change nothing' },
  ],
  examples: [
    {
      command: 'secrets copy vault://payments/db prod://payments/db',
      does: 'one secret, its current version',
    },
    {
      command: 'secrets copy vault://payments/ prod://payments/ --history',
      does: 'all of them, with their versions',
    },
    {
      command: "secrets copy vault://payments/ 'gcp://payments-*' --replace /=- --dry-run",
      does: 'what it would do',
    },
  ],
  completes: 'reference',
  load: () => import('./copy.ts'),
};
