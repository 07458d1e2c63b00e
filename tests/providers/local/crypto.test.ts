import { hkdfSync, randomBytes } from 'node:crypto';
import { hkdf } from '../../../src/providers/local/crypto.ts';

describe('the key of a box', () => {
  it('is what RFC 5869 says (test case 3, of which it is the first block)', () => {
    expect(hkdf(Buffer.alloc(22, 0x0b), Buffer.alloc(0), '').toString('hex')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    );
  });

  it.each([1, 16, 32, 63, 64, 65, 200])('is what Node derives, with key and salt of %i bytes', (length) => {
    const [key, salt] = [randomBytes(length), randomBytes(length)];
    for (const info of ['secrets-local/1/event', 'secrets-local/1/manifest', 'ü €'])
      expect(hkdf(key, salt, info)).toEqual(Buffer.from(hkdfSync('sha256', key, salt, info, 32)));
  });
});
