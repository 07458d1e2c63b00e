import { ENV_FORMATS } from '../core/environment/formats.ts';
import { sourceOptions } from './exec/exec.cli.ts';
import type { CommandSpec } from './command.ts';

export const env: CommandSpec = {
  name: 'env',
  group: 'Injection',
  summary: 'Print the variables that exec would set',
  description:
    'For programs that exec can’t start. The output contains secrets: send it only where nobody else can read it.',
  options: [
    ...sourceOptions,
    { flags: '--format <format>', description: 'Output format (default dotenv)', choices: ENV_FORMATS },
    {
      flags: '--skip-files',
      description: 'Skip the files of secrets.yaml instead of failing',
    },
    { flags: '--name <name>', description: 'Name of the Kubernetes Secret (default secrets)' },
  ],
  examples: [
    { command: 'secrets env --format json', does: 'Print the project’s variables as one JSON object' },
    { command: 'eval "$(secrets env --format shell)"', does: 'Load the variables into this shell' },
    {
      command: 'secrets env --format kubernetes --name app | kubectl apply --server-side -f -',
      does: 'Apply the variables as a Kubernetes Secret (a plain apply stores them a second time, in an annotation)',
    },
  ],
  load: () => import('./env.ts'),
};
