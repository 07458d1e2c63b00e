import type { CommandSpec } from '../command.ts';

export const auditVerify: CommandSpec = {
  name: 'verify',
  group: 'Audit',
  summary: 'Check that the audit log is complete and unaltered',
  description:
    'Exits with 9 if it is not. Without files, checks the configured log and its closed files. docs/audit-log.md ' +
    'explains what each check detects.',
  args: [{ name: '[file...]', description: 'Log, or closed files of a log' }],
  options: [
    {
      flags: '--anchor <place>',
      description: 'Anchor that the log must contain: a file, a reference, or - for stdin (repeatable)',
      repeat: true,
    },
    {
      flags: '--key <key>',
      description: 'Signing key: its id, or a file of public keys (repeatable; default: your own key)',
      repeat: true,
    },
  ],
  examples: [
    { command: 'secrets audit verify', does: 'Check the whole log' },
    {
      command: 'secrets audit verify --anchor ops://audit/anchor',
      does: 'Also check that nothing was cut off since the anchor',
    },
    {
      command: 'secrets audit verify copy/audit.jsonl --key audit.pub',
      does: 'Check a copy on another machine',
    },
  ],
  completes: 'file',
  load: () => import('./verify.ts'),
};
