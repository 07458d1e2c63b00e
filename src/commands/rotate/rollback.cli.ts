import type { CommandSpec } from '../command.ts';
import { dryRun, notify, takeOver, withoutTarget } from './options.ts';

export const rotateRollback: CommandSpec = {
  name: 'rollback',
  group: 'Secrets',
  summary: 'Undo an interrupted rotation, or return to the previous value',
  args: [{ name: '<ref>', description: 'Secret of the rotation: STORE://NAME' }],
  options: [
    {
      flags: '--to-previous',
      description: 'Undo a finished rotation: put the previous value back, in the target and the store',
    },
    takeOver,
    withoutTarget,
    notify,
    dryRun,
  ],
  examples: [
    { command: 'secrets rotate rollback team://payments/db', does: 'Undo an unfinished rotation' },
    {
      command: 'secrets rotate rollback team://payments/db --to-previous',
      does: 'Undo a finished rotation during its grace period',
    },
  ],
  completes: 'reference',
  load: () => import('./rollback.ts'),
};
