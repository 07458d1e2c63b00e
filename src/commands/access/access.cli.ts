import type { CommandSpec } from '../command.ts';
import { accessCheck } from './check.cli.ts';
import { accessGrant } from './grant.cli.ts';
import { accessList } from './list.cli.ts';
import { accessPolicy } from './policy.cli.ts';
import { accessRevoke } from './revoke.cli.ts';

export const access: CommandSpec = {
  name: 'access',
  group: 'Access',
  summary: 'Show and change who may read a secret at its store',
  description: 'Works for aws, azure, conjur, gcp and vault. Not available yet for local stores.',
  examples: [],
  subcommands: [accessList, accessGrant, accessRevoke, accessCheck, accessPolicy],
};
