import type { CommandSpec } from '../command.ts';

export const policyInit: CommandSpec = {
  name: 'init',
  group: 'Access',
  summary: 'Write a first policy file from roles',
  description:
    'WHO is user:NAME or group:NAME; WHERE is STORE://PREFIX/, STORE://NAME or STORE://. Without roles, you become ' +
    'the admin of the default store. The file is written beside the secrets.yaml in use.',
  options: [
    { flags: '--reader <who=where>', description: 'May read values and hand them to programs', repeat: true },
    { flags: '--writer <who=where>', description: 'May write and delete, without reading', repeat: true },
    { flags: '--rotator <who=where>', description: 'May rotate, without seeing values', repeat: true },
    { flags: '--auditor <who=where>', description: 'May list and describe', repeat: true },
    { flags: '--admin <who=where>', description: 'May do everything', repeat: true },
    { flags: '--user', description: 'Write your own policy file, for all projects' },
    { flags: '--dry-run', description: 'Print the policies without writing the file' },
  ],
  examples: [
    {
      command:
        'secrets policy init --reader group:dev=local://app/ --rotator user:deploy=local://app/ --admin user:ann=local://',
      does: 'Write a policy for a small team',
    },
    {
      command: 'secrets policy init --auditor group:audit=local:// --dry-run',
      does: 'Show the policies only',
    },
  ],
  load: () => import('./init.ts'),
};
