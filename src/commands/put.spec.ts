import type { CommandSpec } from './spec.ts';

export const put: CommandSpec = {
  name: 'put',
  aliases: ['set'],
  group: 'Secrets',
  summary: 'write a new version of a secret',
  args: [{ name: '<ref>', description: 'what to write: STORE://NAME[#KEY]' }],
  options: [],
  examples: [{ command: 'printf %s "$TOKEN" | secrets put ci/token', does: 'the value comes from stdin' }],
  completes: 'reference',
  load: () => import('./put.ts'),
};
