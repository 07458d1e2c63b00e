/** Options that every command takes. */
import type { OptionSpec } from '../commands/command.ts';

export const commonOptions: readonly OptionSpec[] = [
  { flags: '--store <name>', description: 'look bare names up in this store' },
  { flags: '--profile <name>', description: 'use this profile of secrets.yaml (or SECRETS_PROFILE)' },
  { flags: '--config <file>', description: 'read this secrets.yaml (or SECRETS_CONFIG)' },
  { flags: '--trust', description: 'act on a secrets.yaml that is not trusted yet, this once' },
  { flags: '--reason <text>', description: 'why, for the audit log (or SECRETS_REASON)' },
  { flags: '--json', description: 'print JSON for programs' },
  { flags: '--quiet', description: 'no warnings and no progress' },
  { flags: '--debug', description: 'print what happens underneath (never a value)' },
  {
    flags: '--timeout <duration>',
    description: 'give up on a backend after this long, such as 10s (default 30s)',
  },
  { flags: '--no-color', description: 'no colour (also: NO_COLOR)' },
];

/** The values of the common options. */
export interface CommonOptions {
  readonly store?: string;
  readonly profile?: string;
  readonly config?: string;
  readonly trust?: boolean;
  readonly reason?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly timeout?: string;
  readonly color?: boolean;
}
