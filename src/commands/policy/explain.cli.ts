import type { CommandSpec } from '../command.ts';

/** @param commands all of them: one is explained */
export const policyExplain = (commands: () => readonly CommandSpec[]): CommandSpec => ({
  name: 'explain',
  group: 'Access',
  summary: 'Show what the policies decide about a command, without running it',
  description:
    'Decides each action that the command may need for each reference it names, and shows the deciding policies. Asks no ' +
    'store: for a decision that depends on labels, give them with --label. Exits with 8 if what the command is for is ' +
    'denied for any of them.',
  args: [{ name: '<command...>', description: 'Command line of secrets, without the word secrets' }],
  options: [{ flags: '--label <key=value>', description: 'A label that the secrets have', repeat: true }],
  examples: [
    { command: 'secrets policy explain get prod://payments/db', does: 'Show who decides about a read' },
    {
      command: 'secrets policy explain exec -e DB=prod://payments/db -- /usr/local/bin/deploy',
      does: 'Ask for a program',
    },
  ],
  passThrough: true,
  load: async () => (await import('./explain.ts')).explaining(commands()),
});
