import type { CommandSpec } from '../command.ts';

export const auditAnchor: CommandSpec = {
  name: 'anchor',
  group: 'Audit',
  summary: 'sign the end of the audit log and keep that elsewhere, so that cutting it off is found',
  description: 'Writes a checkpoint and gives it out: to stdout, into a secret, or to a webhook.',
  options: [
    {
      flags: '--to <place>',
      description: 'a reference, an https:// address, or - for stdout (the default); may be repeated',
      repeat: true,
    },
    {
      flags: '--accept',
      description:
        'Sign that what is missing from the log is known: afterwards audit verify takes it as a notice',
    },
  ],
  examples: [
    { command: 'secrets audit anchor > anchor.json', does: 'what CI keeps as an artefact' },
    {
      command: 'secrets audit anchor --to ops://audit/anchor',
      does: 'in a secret that this user can only add to',
    },
    { command: 'secrets audit anchor --to https://audit.example.com/anchors', does: 'post it to a webhook' },
  ],
  load: () => import('./anchor.ts'),
};
