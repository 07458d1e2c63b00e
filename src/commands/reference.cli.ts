import type { CommandSpec } from './command.ts';

/** Here and not from the writers, which only load when the command runs; a test compares them. */
export const TOOL_NAMES = [
  'cloudformation',
  'cdk',
  'ecs',
  'lambda',
  'eks-csi',
  'external-secrets',
  'kubernetes',
  'github',
  'gitlab',
  'azure-app',
  'cloud-run',
] as const;

export const reference: CommandSpec = {
  name: 'reference',
  group: 'Injection',
  summary: 'Print a reference that another service resolves by itself',
  description:
    'Prints the dynamic reference or manifest that makes the service read the store. The value goes from the ' +
    'store to the service and doesn’t pass through this program. What the service has no syntax for (a version, a ' +
    'stage, a key) is an error.',
  args: [{ name: '<ref>', description: 'Secret to refer to: STORE://NAME[?version=ID|?stage=STAGE][#KEY]' }],
  options: [
    { flags: '--for <tool>', description: 'Service that will read the secret', choices: TOOL_NAMES },
    {
      flags: '--name <name>',
      description: 'Name of the variable or Kubernetes object (default: made from the reference)',
    },
    {
      flags: '--into <property>',
      description:
        'Property of the CloudFormation template that the reference is for; rejected unless AWS never shows it',
    },
    {
      flags: '--check',
      description:
        'Also check that the secret, version and key exist (a key is checked by reading the value)',
    },
  ],
  examples: [
    {
      command: 'secrets reference aws://payments/db#password --for cloudformation',
      does: 'Print a dynamic reference for a template',
    },
    {
      command: 'secrets reference prod://payments/db#password --for external-secrets --check',
      does: 'Print a manifest if the secret and its key exist',
    },
    {
      command:
        'secrets reference aws://payments/db#password --for cloudformation --into AWS::RDS::DBInstance.MasterUserPassword',
      does: 'Print it only for a property that AWS never shows',
    },
  ],
  completes: 'reference',
  load: () => import('./reference.ts'),
};
