import type { CommandSpec } from './command.ts';

export const importSecrets: CommandSpec = {
  name: 'import',
  group: 'Transfer',
  summary: 'put the secrets of a file into a store',
  description:
    'Reads env files, JSON, YAML and Kubernetes Secrets. Into STORE://NAME the names of the file become keys of one ' +
    'secret, beside the keys it has already; into STORE://PREFIX/ each becomes a secret of its own, and each ' +
    'Kubernetes Secret one with its keys. What is there already and the same is left alone. Everything is checked ' +
    'against the limits of the store before the first write. A file is taken whole or refused with the line. The file stays where it is: delete it yourself.',
  args: [
    { name: '<file>', description: 'a file, or - for stdin' },
    { name: '<target>', description: 'STORE://NAME for one secret, STORE://PREFIX/ or PREFIX* for many' },
  ],
  options: [
    {
      flags: '--format <format>',
      description: 'what the file is; found out by its name and text when left out',
      choices: ['dotenv', 'json', 'yaml', 'kubernetes'],
    },
    {
      flags: '--dialect <reader>',
      description: 'the reader that an env file is for, where readers disagree about it',
      choices: ['docker-compose', 'dotenv', 'python', 'shell'],
    },
    { flags: '--dry-run', description: 'say what would be done, change nothing' },
  ],
  examples: [
    { command: 'secrets import .env team://payments/app', does: 'one secret with a key for each variable' },
    { command: 'secrets import .env team://payments/', does: 'a secret for each variable' },
    {
      command: 'kubectl get secret -o yaml | secrets import - prod://cluster/ --dry-run',
      does: 'what the Secrets of a namespace would become',
    },
  ],
  completes: 'file',
  load: () => import('./import.ts'),
};
