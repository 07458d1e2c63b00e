import type { CommandSpec, OptionSpec } from './command.ts';

/** Options that copy, sync and diff share. */
export const replaceOption: OptionSpec = {
  flags: '--replace <from=to>',
  description: 'Replace text in every name, such as /=-- (repeatable)',
  repeat: true,
};

export const copy: CommandSpec = {
  name: 'copy',
  aliases: ['cp'],
  group: 'Transfer',
  summary: 'Copy secrets from one store to another',
  description:
    'Copies one secret, or all secrets under a prefix that ends in / or * (STORE:// is the whole store). Leaves ' +
    'equal secrets alone and writes a new version of different ones. Reads everything and checks it against the ' +
    'limits of the target before the first write. Run an interrupted copy again to continue it. Values are never ' +
    'shown.',
  args: [
    { name: '<source>', description: 'STORE://NAME, STORE://PREFIX/ or STORE://PREFIX*' },
    { name: '<target>', description: 'The same form, in the other store' },
  ],
  options: [
    { flags: '--history', description: 'Copy every version, oldest first, instead of the current one' },
    { flags: '--no-labels', description: 'Skip labels and descriptions' },
    replaceOption,
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    {
      command: 'secrets copy vault://payments/db prod://payments/db',
      does: 'Copy the current version of one secret',
    },
    {
      command: 'secrets copy vault://payments/ prod://payments/ --history',
      does: 'Copy all secrets under payments/ with their versions',
    },
    {
      command: "secrets copy vault://payments/ 'gcp://payments-*' --replace /=- --dry-run",
      does: 'Preview a copy to a store without slashes in names',
    },
  ],
  completes: 'reference',
  load: () => import('./copy.ts'),
};
