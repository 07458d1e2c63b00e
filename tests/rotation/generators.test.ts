import { createPrivateKey, createPublicKey } from 'node:crypto';
import { openGenerator } from '../../src/rotation/generators/index.ts';

test.each([
  [undefined, '32 characters of 62', 190, /^[A-Za-z0-9]{32}$/],
  ['hex:8', '8 random bytes in hex', 64, /^[0-9a-f]{16}$/],
  [{ length: 40, alphabet: 'alnum' }, '40 characters of 62', 238, /^[A-Za-z0-9]{40}$/],
  [
    { length: 20, alphabet: 'ascii', safe: ['url', 'shell'] },
    '20 characters of 64',
    118,
    /^[A-Za-z0-9._]{20}$/,
  ],
  [{ kind: 'words', length: 7, separator: ' ' }, '7 words', 90, /^\S+( \S+){6}$/],
  ['uuid', 'a UUID', 122, /^[0-9a-f-]{36}$/],
])('%j', async (settings, title, bits, pattern) => {
  const generator = openGenerator(settings);
  expect([generator.title, generator.bits]).toEqual([title, bits]);
  const made = await generator.make();
  expect(made).toEqual({ value: expect.stringMatching(pattern), bits });
});

test('a key pair’s private key is the value, the rest its companions', async () => {
  const generator = openGenerator({ kind: 'tls', names: ['www.example.com'], key: 'ec-p384' });
  expect(generator.title).toBe('a TLS key and its signing request, EC P-384');
  const { value, companions } = await generator.make();
  const own = createPublicKey(createPrivateKey(value)).export({ type: 'spki', format: 'pem' });
  expect(companions).toEqual({
    'public-key': own,
    csr: expect.stringMatching(/^-----BEGIN CERTIFICATE REQUEST-----/),
  });
});

test('a sample of a large RSA key is a small one in the same form; of what is cheap there is none', async () => {
  const { sample } = openGenerator({ kind: 'tls', names: ['www.example.com'], key: 'rsa-4096' });
  const { value, companions } = (await sample?.()) ?? {};
  const key = createPrivateKey(value ?? '');
  expect([key.asymmetricKeyType, key.asymmetricKeyDetails?.modulusLength]).toEqual(['rsa', 1024]);
  expect(Object.keys(companions ?? {})).toEqual(['public-key', 'csr']);
  const ssh = await openGenerator('ssh-rsa:4096').sample?.();
  expect(ssh?.value).toMatch(/^-----BEGIN OPENSSH PRIVATE KEY-----/);
  expect(openGenerator('ed25519').sample).toBeUndefined();
  expect(openGenerator('alnum:40').sample).toBeUndefined();
});

test.each([
  [{ length: 40, alphabt: 'alnum' }, 'unknown key alphabt'],
  [{ length: [40] }, 'length has a value of the wrong type'],
  [{ length: 40, exclude: 7 }, 'exclude has a value of the wrong type'],
  ['nope', 'is not a spec'],
])('refuses %j', (settings, message) => {
  expect(() => openGenerator(settings)).toThrow(message);
});
