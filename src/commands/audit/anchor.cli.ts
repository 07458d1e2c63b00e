import type { CommandSpec } from '../command.ts';

export const auditAnchor: CommandSpec = {
  name: 'anchor',
  group: 'Audit',
  summary: 'Sign the end of the audit log, to detect truncation later',
  description:
    'Writes a checkpoint to the log and sends it to a place outside: stdout, a secret or a webhook.',
  options: [
    {
      flags: '--to <place>',
      description: 'A reference, an https:// address, or - for stdout (the default; repeatable)',
      repeat: true,
    },
    {
      flags: '--accept',
      description: 'Sign that missing records are known, so that `audit verify` reports them as a notice',
    },
  ],
  examples: [
    { command: 'secrets audit anchor > anchor.json', does: 'Save the anchor as a CI artefact' },
    {
      command: 'secrets audit anchor --to ops://audit/anchor',
      does: 'Save the anchor in a secret that this user can only add to',
    },
    {
      command: 'secrets audit anchor --to https://audit.example.com/anchors',
      does: 'Post the anchor to a webhook',
    },
  ],
  load: () => import('./anchor.ts'),
};
