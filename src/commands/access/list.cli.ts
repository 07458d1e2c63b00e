import type { CommandSpec } from '../command.ts';

export const accessList: CommandSpec = {
  name: 'list',
  group: 'Access',
  summary: 'List who may read a secret, or what was granted in a store',
  args: [{ name: '<ref>', description: 'Secret (STORE://NAME), or STORE:// for the grants in a store' }],
  examples: [
    { command: 'secrets access list prod://payments/db', does: 'List who may read a secret' },
    { command: 'secrets access list prod://', does: 'List every grant that secrets wrote in a store' },
  ],
  completes: 'reference',
  load: () => import('./list.ts'),
};
