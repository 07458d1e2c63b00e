import type { CommandSpec } from '../command.ts';

export const policyCheck: CommandSpec = {
  name: 'check',
  group: 'Access',
  summary: 'Look for mistakes in policy files',
  description:
    'Prints each problem as FILE:LINE:COLUMN. Without a file it checks the files in use, and whether somebody else may ' +
    'write them. Exits with 8 if a file can’t be used; warnings don’t change the exit code.',
  args: [{ name: '[file...]', description: 'Policy files (default: those in use)' }],
  examples: [
    { command: 'secrets policy check', does: 'Check the policy files in use' },
    { command: 'secrets policy check infra/secrets.policy.cedar', does: 'Check one file, as CI does' },
  ],
  completes: 'file',
  load: () => import('./check.ts'),
};
