import type { CommandSpec } from '../command.ts';
import { scopeOptions } from './vault-options.cli.ts';

export const agentRun: CommandSpec = {
  name: 'run',
  group: 'Injection',
  summary: 'Run a program that reads from Vault, with every store behind VAULT_ADDR',
  description:
    'Serves Vault’s HTTP API on a loopback port to the program, and sets VAULT_ADDR and VAULT_TOKEN to it. Address and ' +
    'token end with the program. STORE/ is a KV version 2 mount for each store, kv1/STORE/ the same as version 1, and ' +
    'secret/ the default store. The exit code is the program’s own, as with exec.',
  args: [{ name: '<command...>', description: 'Program and its arguments, after --' }],
  options: [
    ...scopeOptions,
    { flags: '--pristine', description: 'Inherit only PATH, HOME, TERM and similar variables' },
    { flags: '--keep-credentials', description: 'Pass on the credentials used by secrets itself' },
  ],
  examples: [
    { command: 'secrets agent run -- tofu apply', does: 'Let the provider for Vault read every store' },
    {
      command: 'secrets agent run --read prod://payments/ -- ansible-playbook site.yml',
      does: 'Hand out the secrets below one prefix only',
    },
  ],
  passThrough: true,
  completes: 'command',
  load: () => import('./run.ts'),
};
