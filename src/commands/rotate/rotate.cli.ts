import type { CommandSpec, OptionSpec } from '../command.ts';

const takeOver: OptionSpec = {
  flags: '--take-over',
  description: 'whoever began it is known to be dead: do not wait for its lease',
};
const withoutTarget: OptionSpec = {
  flags: '--without-target',
  description: 'it has no policy: no other system has to be told of its value',
};
const notify: OptionSpec = {
  flags: '--notify <what>',
  description: 'tell an https URL or a program what came of each secret; may be repeated',
  repeat: true,
};
const wait: OptionSpec = {
  flags: '--wait <duration>',
  description:
    'how long to wait for a rotation that the store’s own service makes; default 15m, 0: not at all',
};
const dryRun: OptionSpec = { flags: '--dry-run', description: 'say what would be done, change nothing' };

export const rotate: CommandSpec = {
  name: 'rotate',
  group: 'Secrets',
  summary: 'give secrets new values, in the store and where they are used',
  description:
    'Makes a new value, stores it as pending, applies it to the target, signs in with it, and only then makes it ' +
    'current. What is interrupted anywhere can be finished or undone from any machine.',
  args: [{ name: '[ref...]', description: 'secrets to rotate; - reads references from stdin, one a line' }],
  options: [
    { flags: '--due', description: 'all secrets of secrets.yaml whose time has come' },
    {
      flags: '--max-age <age>',
      description: 'only what is older than this, such as 7d; without references, of all policies',
    },
    {
      flags: '--generate <spec>',
      description: 'how the value is made, such as alnum:40; also for a secret without a policy',
    },
    { flags: '--create', description: 'create secrets that do not exist yet with their first value' },
    notify,
    {
      flags: '--configure',
      description: 'set the store’s own rotation as native of the policy, or of all, has it; rotate nothing',
    },
    wait,
    dryRun,
  ],
  examples: [
    { command: 'secrets rotate team://payments/db', does: 'rotate one secret by its policy' },
    { command: 'secrets rotate --due --json', does: 'what cron runs: one line for each secret' },
    { command: 'secrets rotate --due --dry-run', does: 'what would be rotated, and whether it would work' },
    {
      command: 'secrets rotate --generate hex:32 prod://session-key',
      does: 'a value that no other system has to be told of',
    },
    {
      command: 'secrets rotate --due --notify https://hooks.example.com/rotations',
      does: 'tell a server what came of each',
    },
    {
      command: 'secrets rotate --configure --dry-run',
      does: 'which services’ schedules differ from the policies',
    },
    { command: 'secrets rotate - < read-since-yesterday.txt', does: 'rotate a list, in an emergency' },
  ],
  completes: 'reference',
  load: () => import('./rotate.ts'),
  subcommands: [
    {
      name: 'status',
      group: 'Secrets',
      summary: 'age, next date, who rotates, overdue and stuck rotations, the most urgent first',
      examples: [
        {
          command: 'secrets rotate status',
          does: 'of all policies, and of all secrets labelled rotate-every',
        },
        { command: 'secrets rotate status --json', does: 'the same for programs' },
      ],
      load: () => import('./status.ts'),
    },
    {
      name: 'resume',
      group: 'Secrets',
      summary: 'finish a rotation that was interrupted, on any machine',
      args: [{ name: '<ref>', description: 'the secret' }],
      options: [takeOver, withoutTarget, notify, wait, dryRun],
      examples: [
        {
          command: 'secrets rotate resume team://payments/db',
          does: 'finish it once its holder has been silent for the lease',
        },
      ],
      completes: 'reference',
      load: () => import('./resume.ts'),
    },
    {
      name: 'rollback',
      group: 'Secrets',
      summary: 'undo a rotation that was interrupted, or go back to the previous value',
      args: [{ name: '<ref>', description: 'the secret' }],
      options: [
        {
          flags: '--to-previous',
          description: 'after a finished rotation: put the previous value back, in the target and the store',
        },
        takeOver,
        withoutTarget,
        notify,
        dryRun,
      ],
      examples: [
        { command: 'secrets rotate rollback team://payments/db', does: 'undo what was not finished' },
        {
          command: 'secrets rotate rollback team://payments/db --to-previous',
          does: 'take a finished rotation back while the grace time lasts',
        },
      ],
      completes: 'reference',
      load: () => import('./rollback.ts'),
    },
    {
      name: 'cancel',
      group: 'Secrets',
      summary: 'end the rotation that a secret’s own service makes by schedule',
      description: 'Its versions stay, and one that is pending, too. A policy with native sets it again.',
      args: [{ name: '<ref>', description: 'the secret' }],
      options: [dryRun],
      examples: [
        { command: 'secrets rotate cancel prod://payments/db --dry-run', does: 'what would be ended' },
      ],
      completes: 'reference',
      load: () => import('./cancel.ts'),
    },
  ],
};
