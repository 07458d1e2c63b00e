import type { CommandSpec } from '../command.ts';

export const terraformServe: CommandSpec = {
  name: 'serve',
  group: 'Setup',
  hidden: true,
  summary: 'Run the provider (OpenTofu and Terraform start it)',
  examples: [{ command: 'secrets terraform serve', does: 'What the installed provider runs' }],
  load: () => import('./serve.ts'),
};
