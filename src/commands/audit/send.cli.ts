import type { CommandSpec } from '../command.ts';

export const auditSend: CommandSpec = {
  name: 'send',
  group: 'Audit',
  summary: 'send the audit sinks all records that they have not got; exits with 6 when one can’t be reached',
  description:
    'Each command gives its sinks a moment at its end. This sends the rest: from a timer, or with --follow as a service.',
  options: [
    { flags: '--sink <name>', description: 'this sink alone; may be repeated', repeat: true },
    { flags: '--follow', description: 'go on with what is recorded from now on, until interrupted' },
  ],
  examples: [
    { command: 'secrets audit send', does: 'bring every sink up to date' },
    {
      command: 'secrets audit send --sink siem --follow',
      does: 'send one sink each record as it is written',
    },
  ],
  load: () => import('./send.ts'),
};
