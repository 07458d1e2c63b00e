import type { CommandSpec } from '../command.ts';

export const auditLog: CommandSpec = {
  name: 'log',
  group: 'Audit',
  summary: 'Show who accessed which secret, oldest first',
  description:
    'Shows accesses through this program. Times are UTC, such as 2026-11-24T09:15:00Z or 2026-11-24, or an age, ' +
    'such as 90m or 7d. On a terminal, shows the newest 200 records unless you pass --limit or --since.',
  options: [
    { flags: '--since <time>', description: 'Start of the period: a time or an age, such as 7d' },
    { flags: '--until <time>', description: 'End of the period' },
    {
      flags: '--secret <ref>',
      description: 'Secret to show, in any store if none is named; * and ? are wildcards',
    },
    {
      flags: '--actor <name>',
      description: 'User, uid, or identity at the service; * and ? are wildcards',
    },
    { flags: '--command <name>', description: 'Command to show, such as get (repeatable)', repeat: true },
    {
      flags: '--outcome <outcome>',
      description: 'Outcome to show; unknown is a change without a recorded outcome (repeatable)',
      repeat: true,
      choices: ['allowed', 'denied', 'failed', 'unknown'],
    },
    { flags: '--limit <n>', description: 'Number of records to show, counted from the newest' },
    { flags: '--follow', description: 'Wait for new records and show them' },
    {
      flags: '--all',
      description:
        'Include records about the log itself (checkpoints, repairs, rotations) and all intents of changes',
    },
    { flags: '--csv', description: 'Print comma-separated values' },
    { flags: '--file <path>', description: 'Log to read instead of the configured one' },
  ],
  examples: [
    {
      command: 'secrets audit log --since 7d --secret prod://payments/db',
      does: 'Show who read a secret this week',
    },
    {
      command: 'secrets audit log --outcome denied --outcome failed',
      does: 'Show denied and failed accesses',
    },
    { command: 'secrets audit log --follow --json', does: 'Print each new record as a line of JSON' },
    {
      command: "secrets audit log --secret 'payments/*' --csv > payments.csv",
      does: 'Export records to a spreadsheet',
    },
  ],
  load: () => import('./log.ts'),
};
