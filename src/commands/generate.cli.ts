import type { CommandSpec } from './command.ts';

export const generate: CommandSpec = {
  name: 'generate',
  group: 'Setup',
  summary: 'Print a random value',
  description:
    'SPEC is KIND:SIZE, followed by options after commas. Kinds sized in characters: alnum, alpha, lower, upper, ' +
    'digits, ascii, urlsafe, with at least one character of each class; safe=url and safe=shell omit characters ' +
    'that need quoting there, exclude=CHARS (last) omits any others. Kinds sized in random bytes: hex, base64, ' +
    'base64url. words, with separator=. uuid. Key pairs: rsa, ec, ed25519, ssh-rsa, ssh-ecdsa, ssh-ed25519, and ' +
    'tls,names=NAME+NAME with a signing request. A key pair is a JSON object; only=private-key prints one part.',
  args: [
    {
      name: '[spec]',
      description: 'Kind of value, such as alnum:32 (the default), ascii:40,safe=url, words:6, ssh-ed25519',
    },
  ],
  options: [{ flags: '-n, --newline', description: 'End the value with a newline' }],
  examples: [
    { command: 'secrets generate', does: 'Print 32 letters and digits (190 bits)' },
    { command: 'secrets generate hex:32', does: 'Print a 256-bit key' },
    { command: 'secrets generate words:6', does: 'Print six words of the EFF list (77 bits)' },
    { command: 'secrets generate ssh-ed25519', does: 'Print an SSH key pair as a JSON object' },
    {
      command: 'secrets generate tls,names=www.example.com',
      does: 'Print a TLS key and its signing request',
    },
  ],
  load: () => import('./generate.ts'),
};
