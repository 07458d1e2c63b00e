import type { CommandSpec } from '../command.ts';
import { dryRun, notify, takeOver, wait, withoutTarget } from './options.ts';

export const rotateResume: CommandSpec = {
  name: 'resume',
  group: 'Secrets',
  summary: 'Finish an interrupted rotation, on any machine',
  args: [{ name: '<ref>', description: 'Secret of the rotation: STORE://NAME' }],
  options: [takeOver, withoutTarget, notify, wait, dryRun],
  examples: [
    {
      command: 'secrets rotate resume team://payments/db',
      does: 'Finish a rotation after the lease of its holder has expired',
    },
  ],
  completes: 'reference',
  load: () => import('./resume.ts'),
};
