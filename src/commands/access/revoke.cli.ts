import type { CommandSpec } from '../command.ts';
import { dryRunOption, principalArgument, referenceArgument, throughOption } from './options.ts';

export const accessRevoke: CommandSpec = {
  name: 'revoke',
  group: 'Access',
  summary: 'Take back what `access grant` granted',
  description: 'Removes exactly that. What others have granted stays: secrets access check shows it.',
  args: [principalArgument, referenceArgument],
  options: [throughOption, dryRunOption],
  examples: [
    {
      command: 'secrets access revoke approle:deploy prod://payments/db',
      does: 'Take back the grant of a role',
    },
  ],
  load: () => import('./revoke.ts'),
};
