import type { CommandSpec } from './command.ts';

export const importSecrets: CommandSpec = {
  name: 'import',
  group: 'Transfer',
  summary: 'Import the secrets of a file into a store',
  description:
    'Reads env files, JSON, YAML and Kubernetes Secrets. With STORE://NAME as the target, names become keys of ' +
    'one secret, beside its existing keys. With STORE://PREFIX/, each name becomes a secret, and each Kubernetes ' +
    'Secret becomes one secret with keys. Leaves equal secrets alone. Accepts a file as a whole, or rejects it ' +
    'and names the line. Checks everything against the limits of the store before the first write. Keeps the ' +
    'file: delete it yourself.',
  args: [
    { name: '<file>', description: 'File to import, or - for stdin' },
    { name: '<target>', description: 'STORE://NAME for one secret, STORE://PREFIX/ or PREFIX* for many' },
  ],
  options: [
    {
      flags: '--format <format>',
      description: 'Format of the file (default: detected from its name and content)',
      choices: ['dotenv', 'json', 'yaml', 'kubernetes'],
    },
    {
      flags: '--dialect <reader>',
      description: 'Intended reader of the env file, for syntax that readers disagree about',
      choices: ['docker-compose', 'dotenv', 'python', 'shell'],
    },
    { flags: '--dry-run', description: 'Show what would be done without doing it' },
  ],
  examples: [
    {
      command: 'secrets import .env team://payments/app',
      does: 'Create one secret with a key for each variable',
    },
    { command: 'secrets import .env team://payments/', does: 'Create a secret for each variable' },
    {
      command: 'kubectl get secret -o yaml | secrets import - prod://cluster/ --dry-run',
      does: 'Preview the import of a namespace’s Secrets',
    },
  ],
  completes: 'file',
  load: () => import('./import.ts'),
};
