import type { CommandSpec } from '../command.ts';
import { scopeOptions } from './vault-options.cli.ts';

export const agentStart: CommandSpec = {
  name: 'start',
  group: 'Injection',
  summary: 'Start the agent, in the foreground unless you pass --detach',
  description:
    'The agent holds values in memory only. get, exec and env use it when it runs as the same user with the same ' +
    'credentials. Every access is recorded as without it. It never starts by itself.',
  options: [
    { flags: '-d, --detach', description: 'Run in the background; succeed if it is running already' },
    { flags: '--ttl <duration>', description: 'Hold a value for this long at most (default 15m)' },
    {
      flags: '--fresh <duration>',
      description:
        'Ask the store again for a value older than this; if it is away, --ttl counts (default 1m)',
    },
    {
      flags: '--idle <duration>',
      description: 'End after this long without a request, or never (default 8h)',
    },
    { flags: '--max-values <number>', description: 'Hold at most this many values (default 10000)' },
    { flags: '--max-bytes <size>', description: 'Hold at most this much, such as 16M (default 64M)' },
    {
      flags: '--vault <address>',
      description: 'Serve Vault’s HTTP API at 127.0.0.1:PORT (0 for any port) or unix:///PATH',
    },
    {
      flags: '--token-file <path>',
      description: 'With --vault: where programs find their token (removed when the agent ends)',
    },
    { flags: '--token-ttl <duration>', description: 'Life of a token in that file (default 1h)' },
    ...scopeOptions,
  ],
  examples: [
    { command: 'secrets agent start --detach', does: 'Start it in the background, such as at login' },
    { command: 'secrets agent start --ttl 5m --idle 1h', does: 'Hold values for a shorter time' },
    {
      command: 'secrets agent start --vault 127.0.0.1:8200 --token-file ~/.secrets-vault-token',
      does: 'Let programs that speak Vault read every store',
    },
  ],
  load: () => import('./start.ts'),
};
