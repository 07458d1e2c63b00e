import type { CommandSpec } from '../command.ts';
import { referenceArgument } from './options.ts';

export const accessCheck: CommandSpec = {
  name: 'check',
  group: 'Access',
  summary: 'Check whether a principal may read a secret',
  description:
    'Prints allowed, denied or unknown, and the deciding rule. Exits with 0 for allowed, with 1 otherwise.',
  args: [
    {
      name: '<principal>',
      description: 'As for access grant, or self for the identity in use',
    },
    referenceArgument,
  ],
  examples: [
    {
      command: 'secrets access check approle:deploy prod://payments/db',
      does: 'Check whether a role may read',
    },
    { command: 'secrets access check self prod://payments/db', does: 'Check your own access' },
  ],
  load: () => import('./check.ts'),
};
