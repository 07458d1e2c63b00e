import type { CommandSpec } from './command.ts';

/** @param commands all of them, this one too */
export const completion = (commands: () => readonly CommandSpec[]): CommandSpec => ({
  name: 'completion',
  group: 'Setup',
  summary: 'Print a shell completion script',
  description:
    'With SECRETS_COMPLETION_CACHE=1 in the environment, `secrets list` keeps a local cache of names, and TAB ' +
    'completes them. TAB never contacts a store.',
  args: [{ name: '<shell>', description: 'bash, zsh or fish' }],
  examples: [
    {
      command: 'secrets completion bash > ~/.local/share/bash-completion/completions/secrets',
      does: 'Install completion for bash',
    },
    {
      command: 'secrets completion fish > ~/.config/fish/completions/secrets.fish',
      does: 'Install completion for fish',
    },
  ],
  load: async () => (await import('./completion.ts')).completionOf(commands()),
});
