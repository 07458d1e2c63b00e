import type { CommandSpec } from '../command.ts';
import { dryRunOption, principalArgument, referenceArgument, throughOption } from './options.ts';

export const accessGrant: CommandSpec = {
  name: 'grant',
  group: 'Access',
  summary: 'Let a principal read one secret',
  description: 'Changes the store’s own policies: the principal can read this secret and nothing else.',
  args: [principalArgument, referenceArgument],
  options: [
    {
      flags: '--for <duration>',
      description: 'End the grant after this time, such as 8h (where the store can)',
    },
    {
      flags: '--broad',
      description: 'Allow a principal that stands for many, such as an account; needs --reason',
    },
    throughOption,
    dryRunOption,
  ],
  examples: [
    { command: 'secrets access grant approle:deploy prod://payments/db', does: 'Let a role read one secret' },
    {
      command: 'secrets access grant role/deploy aws://payments/db --for 8h',
      does: 'End the grant by itself (aws)',
    },
    {
      command: 'secrets access grant group:oncall prod://payments/db --dry-run',
      does: 'Show what would change in the store’s policies',
    },
  ],
  load: () => import('./grant.ts'),
};
