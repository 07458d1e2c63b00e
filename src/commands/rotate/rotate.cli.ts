import type { CommandSpec, OptionSpec } from '../command.ts';

const takeOver: OptionSpec = {
  flags: '--take-over',
  description: 'Take over at once from a process known to be dead',
};
const withoutTarget: OptionSpec = {
  flags: '--without-target',
  description: 'Proceed without a policy, for values used by no other system',
};
const notify: OptionSpec = {
  flags: '--notify <what>',
  description: 'Report each outcome to an https URL or a program (repeatable)',
  repeat: true,
};
const wait: OptionSpec = {
  flags: '--wait <duration>',
  description: 'Time to wait for the store’s own rotation (default 15m; 0 for no wait)',
};
const dryRun: OptionSpec = { flags: '--dry-run', description: 'Show what would be done without doing it' };

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
  subcommands: [
    {
      name: 'status',
      group: 'Secrets',
      summary: 'Show the age and next rotation of secrets, most urgent first',
      description: 'Also shows who rotates each secret, and which rotations are overdue or stuck.',
      examples: [
        {
          command: 'secrets rotate status',
          does: 'Show secrets that have a policy or the label rotate-every',
        },
        { command: 'secrets rotate status --json', does: 'Show the same as JSON' },
      ],
      load: () => import('./status.ts'),
    },
    {
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
    },
    {
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
    },
    {
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
    },
  ],
};
