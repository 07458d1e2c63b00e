import type { OptionSpec } from '../command.ts';

/** What tokens of Vault's protocol may do. */
export const scopeOptions: readonly OptionSpec[] = [
  {
    flags: '--read <ref>',
    description: 'Limit Vault’s clients to STORE://, STORE://PREFIX/ or one secret (repeatable)',
    repeat: true,
  },
  {
    flags: '--write <ref>',
    description: 'Let clients write STORE://PREFIX/ or one secret (repeatable; default: nothing)',
    repeat: true,
  },
];
