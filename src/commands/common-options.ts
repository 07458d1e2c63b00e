/** Options that every command takes. */
import type { OptionSpec } from './command.ts';

export const commonOptions: readonly OptionSpec[] = [
  { flags: '--store <name>', description: 'Store for names without STORE://' },
  { flags: '--profile <name>', description: 'Profile of secrets.yaml (or SECRETS_PROFILE)' },
  { flags: '--config <file>', description: 'Path of secrets.yaml (or SECRETS_CONFIG)' },
  { flags: '--trust', description: 'Trust secrets.yaml for this run only' },
  { flags: '--reason <text>', description: 'Reason to record in the audit log (or SECRETS_REASON)' },
  { flags: '--json', description: 'Print JSON' },
  { flags: '--quiet', description: 'Hide warnings and progress' },
  { flags: '--debug', description: 'Print diagnostic details (never a value)' },
  {
    flags: '--timeout <duration>',
    description: 'Time limit for backend calls, such as 10s (default 30s)',
  },
  { flags: '--no-agent', description: 'Ask the stores, not a running agent (or SECRETS_AGENT=0)' },
  { flags: '--no-color', description: 'Disable colour (also: NO_COLOR)' },
];
