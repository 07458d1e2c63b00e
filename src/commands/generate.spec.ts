import type { CommandSpec } from './spec.ts';

export const generate: CommandSpec = {
  name: 'generate',
  group: 'Setup',
  summary: 'print a random value',
  description:
    'SPEC is ALPHABET:LENGTH or uuid. Alphabets: alnum, alpha, lower, upper, digits, hex, base64, base64url, ascii, ' +
    'urlsafe. LENGTH is in characters, for hex, base64 and base64url in random bytes. alnum and ascii hold at least ' +
    'one character of each class when they are long enough.',
  args: [{ name: '[spec]', description: 'such as alnum:32 (the default), hex:16, uuid' }],
  options: [{ flags: '-n, --newline', description: 'end the value with a newline' }],
  examples: [
    { command: 'secrets generate', does: '32 letters and digits, 190 bits' },
    { command: 'secrets generate hex:32', does: 'a 256-bit key' },
  ],
  load: () => import('./generate.ts'),
};
