import type { CommandSpec } from './command.ts';

export const trust: CommandSpec = {
  name: 'trust',
  group: 'Setup',
  summary: 'look at what a secrets.yaml wants to do, and allow it',
  description:
    'Shows the lines that send a credential somewhere, use one, or change what programs run, and asks. ' +
    'What is accepted is this content of this file: after a change you are asked again.',
  args: [{ name: '[file]', description: 'a secrets.yaml; default the one that the other commands use' }],
  options: [
    { flags: '--yes', description: 'accept without being asked; for scripts' },
    { flags: '--dry-run', description: 'show the lines, accept nothing' },
    { flags: '--list', description: 'the files that are trusted' },
    { flags: '--revoke', description: 'do not trust the file any more' },
  ],
  examples: [
    { command: 'secrets trust', does: 'show the lines of this project’s file, and ask' },
    {
      command: 'secrets trust --dry-run --json',
      does: 'the lines and the hash for SECRETS_TRUSTED, for programs',
    },
    {
      command: 'secrets trust --revoke ~/src/old/secrets.yaml',
      does: 'forget a file, even one that is gone',
    },
  ],
  completes: 'file',
  load: () => import('./trust.ts'),
};
