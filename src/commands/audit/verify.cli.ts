import type { CommandSpec } from '../command.ts';

export const auditVerify: CommandSpec = {
  name: 'verify',
  group: 'Audit',
  summary: 'whether the audit log is whole and unaltered; exits with 9 when it is not',
  description:
    'Without files: the log of the configuration, with the files that were closed before. docs/audit-log.md says what ' +
    'is found by what.',
  args: [{ name: '[file...]', description: 'a log, or closed files of one' }],
  options: [
    {
      flags: '--anchor <place>',
      description:
        'an anchor that the log must contain: a file, a reference, or - for stdin; may be repeated',
      repeat: true,
    },
    {
      flags: '--key <key>',
      description:
        'the key that signed it: its id, or a file of public keys; may be repeated; default: the user’s own key',
      repeat: true,
    },
  ],
  examples: [
    { command: 'secrets audit verify', does: 'check the whole log' },
    {
      command: 'secrets audit verify --anchor ops://audit/anchor',
      does: 'and that nothing was cut off since',
    },
    {
      command: 'secrets audit verify copy/audit.jsonl --key audit.pub',
      does: 'check a copy on another machine',
    },
  ],
  completes: 'file',
  load: () => import('./verify.ts'),
};
