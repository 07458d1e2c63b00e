import { AUDIT_ACTIONS } from '../../core/audit/actions.ts';
import type { CommandSpec } from '../command.ts';

export const auditTrail: CommandSpec = {
  name: 'trail',
  group: 'Audit',
  summary: 'what the service itself recorded, beside our own log: which accesses came through secrets',
  description:
    'Reads the trail that the service keeps of a secret, or of a whole store, and puts it on one time line with the ' +
    'audit log. An access that both have is one line; one that the log has not did not come through secrets here.',
  args: [{ name: '<ref|store>', description: 'a secret, STORE://NAME, or a store: STORE or STORE://' }],
  options: [
    {
      flags: '--since <time>',
      description: 'from then on: a time, or how long ago, such as 7d (default 1d)',
    },
    { flags: '--until <time>', description: 'before then (default now)' },
    {
      flags: '--from <file>',
      description: 'read the trail from this file (- for stdin; .gz is unpacked), for Vault and Conjur',
    },
    {
      flags: '--log <file>',
      description: 'also compare with this audit log, such as another machine’s; may be repeated',
      repeat: true,
    },
    {
      flags: '--action <action>',
      description: 'only this action; may be repeated',
      repeat: true,
      choices: AUDIT_ACTIONS,
    },
    { flags: '--outside', description: 'only accesses that no log has' },
    { flags: '--fail-on-outside', description: 'exit with 8 when there are any, for CI' },
    {
      flags: '--window <duration>',
      description: 'how far the clocks may be apart where no request id is known (default 2s)',
    },
    { flags: '--csv', description: 'comma-separated, for spreadsheets' },
  ],
  examples: [
    {
      command: 'secrets audit trail prod://payments/db --since 7d',
      does: 'who touched it this week, and how',
    },
    {
      command: 'secrets audit trail prod:// --outside --action read',
      does: 'reads past secrets, in the whole store',
    },
    {
      command: 'secrets audit trail vault://payments/db --from /var/log/vault/audit.log',
      does: 'from Vault’s audit device',
    },
    {
      command: 'secrets audit trail prod --since 1h --action read --fail-on-outside --quiet',
      does: 'a check that runs every hour',
    },
  ],
  completes: 'reference',
  load: () => import('./trail.ts'),
};
