import type { CommandSpec } from '../command.ts';

export const accessPolicy: CommandSpec = {
  name: 'policy',
  group: 'Access',
  summary: 'Print the smallest policy of a store for what a credential is used for',
  description:
    'An IAM policy for aws, a policy in HCL for vault. Without references, for the secrets of secrets.yaml: variables for exec and agent, rotations for rotate. Changes nothing.',
  args: [{ name: '[ref...]', description: 'Secrets of one store; for audit STORE://' }],
  options: [
    {
      flags: '--for <purpose>',
      description: 'What the credential is used for',
      choices: ['exec', 'agent', 'rotate', 'audit'],
    },
  ],
  examples: [
    {
      command: 'secrets access policy --for exec prod://payments/db',
      does: 'Print the policy for reading one secret',
    },
    {
      command: 'secrets access policy --for audit prod://',
      does: 'Print the policy for audit report of a store',
    },
  ],
  completes: 'reference',
  load: () => import('./policy.ts'),
};
