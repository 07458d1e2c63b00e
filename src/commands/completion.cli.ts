import type { CommandSpec } from './command.ts';

export const completion: CommandSpec = {
  name: 'completion',
  group: 'Setup',
  summary: 'print the completion script of a shell',
  description:
    'Names of secrets are completed from a local cache of names, kept only with SECRETS_COMPLETION_CACHE=1 in the ' +
    'environment: then `secrets list` fills it. TAB never asks a backend.',
  args: [{ name: '<shell>', description: 'bash, zsh or fish' }],
  examples: [
    {
      command: 'secrets completion bash > ~/.local/share/bash-completion/completions/secrets',
      does: 'for bash',
    },
    { command: 'secrets completion fish > ~/.config/fish/completions/secrets.fish', does: 'for fish' },
  ],
  load: () => import('./completion.ts'),
};
