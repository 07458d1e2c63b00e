import type { CommandSpec } from '../command.ts';
import { rotateCancel } from './cancel.cli.ts';
import { dryRun, notify, wait } from './options.ts';
import { rotateResume } from './resume.cli.ts';
import { rotateRollback } from './rollback.cli.ts';
import { rotateStatus } from './status.cli.ts';

export const rotate: CommandSpec = {
  name: 'rotate',
  group: 'Secrets',
  summary: 'Replace secrets with new values, in the store and where they are used',
  description:
    'Generates a value, stores it as the pending version, applies it to the target, signs in with it, and only ' +
    'then makes it current. An interrupted rotation can be finished or undone from any machine.',
  args: [
    { name: '[ref...]', description: 'Secrets to rotate, or - to read references from stdin, one per line' },
  ],
  options: [
    { flags: '--due', description: 'Rotate every due secret of secrets.yaml' },
    {
      flags: '--max-age <age>',
      description: 'Rotate only values older than this, such as 7d (without references: of all policies)',
    },
    {
      flags: '--generate <spec>',
      description: 'Kind of value to generate, such as alnum:40; works without a policy',
    },
    { flags: '--create', description: 'Create missing secrets with a first value' },
    notify,
    {
      flags: '--configure',
      description: 'Set up the store’s own rotation as the policies describe it, without rotating',
    },
    wait,
    dryRun,
  ],
  examples: [
    { command: 'secrets rotate team://payments/db', does: 'Rotate one secret by its policy' },
    {
      command: 'secrets rotate --due --json',
      does: 'Rotate what is due and print one line per secret, for cron',
    },
    {
      command: 'secrets rotate --due --dry-run',
      does: 'Show what would be rotated and whether it would work',
    },
    {
      command: 'secrets rotate --generate hex:32 prod://session-key',
      does: 'Rotate a value that no other system depends on',
    },
    {
      command: 'secrets rotate --due --notify https://hooks.example.com/rotations',
      does: 'Report each outcome to a server',
    },
    {
      command: 'secrets rotate --configure --dry-run',
      does: 'Show which services’ schedules differ from the policies',
    },
    {
      command: 'secrets rotate - < read-since-yesterday.txt',
      does: 'Rotate a list of secrets in an emergency',
    },
  ],
  completes: 'reference',
  load: () => import('./rotate.ts'),
  subcommands: [rotateStatus, rotateResume, rotateRollback, rotateCancel],
};
