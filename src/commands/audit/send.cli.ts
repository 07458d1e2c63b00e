import type { CommandSpec } from '../command.ts';

export const auditSend: CommandSpec = {
  name: 'send',
  group: 'Audit',
  summary: 'Send waiting records to the audit sinks',
  description:
    'Each command gives its sinks a moment at its end. This command sends the rest: from a timer, or with ' +
    '--follow as a service. Exits with 6 if a sink can’t be reached.',
  options: [
    { flags: '--sink <name>', description: 'Only this sink (repeatable)', repeat: true },
    { flags: '--follow', description: 'Send new records as they are written, until interrupted' },
  ],
  examples: [
    { command: 'secrets audit send', does: 'Bring every sink up to date' },
    {
      command: 'secrets audit send --sink siem --follow',
      does: 'Send each new record to one sink',
    },
  ],
  load: () => import('./send.ts'),
};
