import type { CommandSpec } from '../command.ts';
import { dryRun } from './options.ts';

export const rotateCancel: CommandSpec = {
  name: 'cancel',
  group: 'Secrets',
  summary: 'Stop the scheduled rotation by the store’s own service',
  description:
    'All versions stay, including a pending one. A policy with `native` sets the schedule up again.',
  args: [{ name: '<ref>', description: 'Secret of the rotation: STORE://NAME' }],
  options: [dryRun],
  examples: [
    { command: 'secrets rotate cancel prod://payments/db --dry-run', does: 'Show what would be stopped' },
  ],
  completes: 'reference',
  load: () => import('./cancel.ts'),
};
