import { AUDIT_ACTIONS } from '../../core/audit/actions.ts';
import type { CommandSpec } from '../command.ts';

export const auditTrail: CommandSpec = {
  name: 'trail',
  group: 'Audit',
  summary: 'Compare the audit log with the service’s own trail',
  description:
    'Reads the service’s trail of a secret or of a whole store, and merges it with the audit log into one ' +
    'timeline. An access in both is one line. An access that only the trail has did not come through this program ' +
    'on this machine.',
  args: [{ name: '<ref|store>', description: 'Secret (STORE://NAME) or store (STORE or STORE://)' }],
  options: [
    {
      flags: '--since <time>',
      description: 'Start of the period: a time or an age, such as 7d (default 1d)',
    },
    { flags: '--until <time>', description: 'End of the period (default now)' },
    {
      flags: '--from <file>',
      description: 'Read the trail of Vault or Conjur from this file (- for stdin; .gz is unpacked)',
    },
    {
      flags: '--log <file>',
      description: 'Another audit log to compare with, such as another machine’s (repeatable)',
      repeat: true,
    },
    {
      flags: '--action <action>',
      description: 'Action to show (repeatable)',
      repeat: true,
      choices: AUDIT_ACTIONS,
    },
    { flags: '--outside', description: 'Show only accesses missing from every log' },
    { flags: '--fail-on-outside', description: 'Exit with 8 if there are any, for CI' },
    {
      flags: '--window <duration>',
      description: 'Largest clock difference for matches without a request id (default 2s)',
    },
    { flags: '--csv', description: 'Print comma-separated values' },
  ],
  examples: [
    {
      command: 'secrets audit trail prod://payments/db --since 7d',
      does: 'Show who accessed a secret this week, and how',
    },
    {
      command: 'secrets audit trail prod:// --outside --action read',
      does: 'Show reads that bypassed this program, in the whole store',
    },
    {
      command: 'secrets audit trail vault://payments/db --from /var/log/vault/audit.log',
      does: 'Read the trail from Vault’s audit device',
    },
    {
      command: 'secrets audit trail prod --since 1h --action read --fail-on-outside --quiet',
      does: 'Check for bypassing reads every hour',
    },
  ],
  completes: 'reference',
  load: () => import('./trail.ts'),
};
