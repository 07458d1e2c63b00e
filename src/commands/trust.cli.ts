import type { CommandSpec } from './command.ts';

export const trust: CommandSpec = {
  name: 'trust',
  group: 'Setup',
  summary: 'Review a secrets.yaml, and trust it',
  description:
    'Shows the lines that send a credential somewhere, use one, or change which programs run, and asks whether to ' +
    'trust them. Trust covers this content of this file: after a change you are asked again.',
  args: [{ name: '[file]', description: 'A secrets.yaml (default: the one in use)' }],
  options: [
    { flags: '--yes', description: 'Trust the file without asking, for scripts' },
    { flags: '--dry-run', description: 'Show the lines without trusting them' },
    { flags: '--list', description: 'List the trusted files' },
    { flags: '--revoke', description: 'Stop trusting the file' },
  ],
  examples: [
    { command: 'secrets trust', does: 'Review this project’s file' },
    {
      command: 'secrets trust --dry-run --json',
      does: 'Print the lines, and the hash for SECRETS_TRUSTED, as JSON',
    },
    {
      command: 'secrets trust --revoke ~/src/old/secrets.yaml',
      does: 'Stop trusting a file, even a deleted one',
    },
  ],
  completes: 'file',
  load: () => import('./trust.ts'),
};
