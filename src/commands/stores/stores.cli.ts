import type { CommandSpec } from '../command.ts';
import { storesRekey } from './rekey.cli.ts';

export const stores: CommandSpec = {
  name: 'stores',
  group: 'Stores',
  summary: 'List the stores, or renew the key of one',
  options: [{ flags: '--check', description: 'Sign in to each store and show your identity there' }],
  examples: [
    { command: 'secrets stores', does: 'List the stores and where each is configured' },
    { command: 'secrets stores --check', does: 'Also check that each store can be reached' },
  ],
  load: () => import('./stores.ts'),
  subcommands: [storesRekey],
};
