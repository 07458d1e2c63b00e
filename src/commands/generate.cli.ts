import type { CommandSpec } from './command.ts';

export const generate: CommandSpec = {
  name: 'generate',
  group: 'Setup',
  summary: 'print a random value',
  description:
    'SPEC is KIND:SIZE, with options after commas. Alphabets: alnum, alpha, lower, upper, digits, ascii, urlsafe, by ' +
    'characters, with at least one of each class; safe=url and safe=shell leave out what needs quoting there, ' +
    'exclude=CHARS (last) any characters. hex, base64, base64url, by random bytes. words, with separator=. uuid. ' +
    'Key pairs: rsa, ec, ed25519, ssh-rsa, ssh-ecdsa, ssh-ed25519, and tls,names=NAME+NAME with a signing request; ' +
    'they are JSON objects, of which only=private-key gives one part.',
  args: [
    {
      name: '[spec]',
      description: 'such as alnum:32 (the default), ascii:40,safe=url, words:6, ssh-ed25519',
    },
  ],
  options: [{ flags: '-n, --newline', description: 'end the value with a newline' }],
  examples: [
    { command: 'secrets generate', does: '32 letters and digits, 190 bits' },
    { command: 'secrets generate hex:32', does: 'a 256-bit key' },
    { command: 'secrets generate words:6', does: 'six words of the EFF list, 77 bits' },
    { command: 'secrets generate ssh-ed25519', does: 'a key pair as a JSON object' },
    { command: 'secrets generate tls,names=www.example.com', does: 'a TLS key and its signing request' },
  ],
  load: () => import('./generate.ts'),
};
