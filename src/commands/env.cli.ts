import { ENV_FORMATS } from '../core/environment/formats.ts';
import { sourceOptions } from './exec/exec.cli.ts';
import type { CommandSpec } from './command.ts';

export const env: CommandSpec = {
  name: 'env',
  group: 'Injection',
  summary: 'print the variables that exec would set',
  description:
    'For programs that can’t be started by exec. The output holds secrets: send it where nobody else reads.',
  options: [
    ...sourceOptions,
    { flags: '--format <format>', description: 'how to write them (default dotenv)', choices: ENV_FORMATS },
    {
      flags: '--skip-files',
      description: 'leave out what secrets.yaml gives as a file, instead of refusing',
    },
    { flags: '--name <name>', description: 'name of the Kubernetes Secret (default secrets)' },
  ],
  examples: [
    { command: 'secrets env --format json', does: 'the project’s variables as one object' },
    { command: 'eval "$(secrets env --format shell)"', does: 'into this shell' },
    {
      command: 'secrets env --format kubernetes --name app | kubectl apply -f -',
      does: 'as a Secret manifest',
    },
  ],
  load: () => import('./env.ts'),
};
