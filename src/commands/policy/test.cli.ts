import type { CommandSpec } from '../command.ts';

export const policyTest: CommandSpec = {
  name: 'test',
  group: 'Access',
  summary: 'Run the test cases of a policy',
  description:
    'The cases are a YAML file that says who asks for what, and what is expected. Reads no store and no secret. Exits ' +
    'with 1 if a case is decided otherwise.',
  args: [{ name: '[file]', description: 'Cases (default: secrets.policy.test.yaml beside the policy)' }],
  options: [
    {
      flags: '--policy <file>',
      description: 'Policy file to test (default: the project’s); several must all allow',
      repeat: true,
    },
  ],
  examples: [
    { command: 'secrets policy test', does: 'Run the project’s cases' },
    {
      command: 'secrets policy test cases.yaml --policy machine.cedar --policy secrets.policy.cedar',
      does: 'Test two layers together',
    },
  ],
  completes: 'file',
  load: () => import('./test.ts'),
};
