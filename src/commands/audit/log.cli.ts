import type { CommandSpec } from '../command.ts';

export const auditLog: CommandSpec = {
  name: 'log',
  group: 'Audit',
  summary: 'who touched which secret through secrets, oldest first',
  description:
    'Times are UTC: 2026-11-24T09:15:00Z, 2026-11-24, or so long ago: 90m, 7d. At a terminal the newest 200 are shown ' +
    'unless --limit or --since says otherwise.',
  options: [
    { flags: '--since <time>', description: 'from then on: a time, or how long ago, such as 7d' },
    { flags: '--until <time>', description: 'before then' },
    {
      flags: '--secret <ref>',
      description: 'this secret, in any store unless the reference names one; * and ? stand for anything',
    },
    {
      flags: '--actor <name>',
      description: 'user, uid, or identity at the service; * and ? stand for anything',
    },
    { flags: '--command <name>', description: 'this command, such as get; may be repeated', repeat: true },
    {
      flags: '--outcome <outcome>',
      description:
        'allowed, denied, failed, or unknown (a change whose outcome is not recorded); may be repeated',
      repeat: true,
      choices: ['allowed', 'denied', 'failed', 'unknown'],
    },
    { flags: '--limit <n>', description: 'the newest so many' },
    { flags: '--follow', description: 'go on with what is written from now on' },
    {
      flags: '--all',
      description:
        'also the records about the log itself (checkpoints, repairs, rotations) and all intents of changes',
    },
    { flags: '--csv', description: 'comma-separated, for spreadsheets' },
    { flags: '--file <path>', description: 'read this log instead of the one of the configuration' },
  ],
  examples: [
    { command: 'secrets audit log --since 7d --secret prod://payments/db', does: 'who read it this week' },
    {
      command: 'secrets audit log --outcome denied --outcome failed',
      does: 'what was refused or went wrong',
    },
    { command: 'secrets audit log --follow --json', does: 'each record as it is written, as a line of JSON' },
    { command: "secrets audit log --secret 'payments/*' --csv > payments.csv", does: 'for a spreadsheet' },
  ],
  load: () => import('./log.ts'),
};
