import { bitsOf, generate, parseGenerate } from '../../../src/core/generate/generate.ts';

describe('generate', () => {
  test.each([
    ['alnum:24', /^[A-Za-z0-9]{24}$/],
    ['alpha:9', /^[A-Za-z]{9}$/],
    ['lower:9', /^[a-z]{9}$/],
    ['upper:9', /^[A-Z]{9}$/],
    ['digits:6', /^\d{6}$/],
    ['ascii:40', /^[!-~]{40}$/],
    ['urlsafe:30', /^[A-Za-z0-9._~-]{30}$/],
    ['hex:16', /^[0-9a-f]{32}$/],
    ['base64:32', /^[A-Za-z0-9+/]{43}=$/],
    ['base64url:32', /^[A-Za-z0-9_-]{43}$/],
    ['uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/],
    ['alnum', /^[A-Za-z0-9]{32}$/],
  ])('%s gives a value of its kind', async (spec, pattern) => {
    for (let round = 0; round < 50; round += 1) expect((await generate(spec)).value).toMatch(pattern);
  });

  test.each([['alnum:3'], ['alnum:8'], ['ascii:4'], ['urlsafe:5']])('%s holds each class', async (spec) => {
    for (let round = 0; round < 200; round += 1) {
      const { value } = await generate(spec);
      expect(value).toMatch(/[a-z]/);
      expect(value).toMatch(/[A-Z]/);
      expect(value).toMatch(/[0-9]/);
      expect(spec.startsWith('alnum') || /[^A-Za-z0-9]/.test(value)).toBe(true);
    }
  });

  test('draws every character equally often', async () => {
    const draws = 80;
    const counts = new Map<string, number>();
    for (let round = 0; round < draws; round += 1) {
      for (const char of (await generate('digits:4096')).value) counts.set(char, (counts.get(char) ?? 0) + 1);
    }
    // Chi-squared with 9 degrees of freedom: above 62 once in five hundred million runs of a fair generator. Bytes by
    // their remainder, without rejection, come to 120.
    const mean = (draws * 4096) / 10;
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    expect(counts.size).toBe(10);
    expect(chi).toBeLessThan(62);
  });

  test('draws every value that has each class equally often, wherever the classes stand in it', async () => {
    const spec = { alphabet: ['ab', '12'], length: 3 };
    const counts = new Map<string, number>();
    const draws = 12_000;
    for (let round = 0; round < draws; round += 1) {
      const { value } = await generate(spec);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
    // 4^3 less those of letters or digits alone. A class put at a fixed place, or twice in the dice, shows at once.
    expect(counts.size).toBe(48);
    const mean = draws / 48;
    const chi = [...counts.values()].reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    // 47 degrees of freedom: above 130 once in five hundred million runs of a fair generator.
    expect(chi).toBeLessThan(130);
  });

  test.each([
    ['digits:1', Math.log2(10)],
    ['hex:16', 128],
    ['uuid', 122],
    ['words:6', 6 * Math.log2(6 ** 5)],
    // Only the four unreserved symbols are left.
    ['ascii:1,safe=url', Math.log2(66)],
    ['digits:2,exclude=0,1', Math.log2(8 ** 2)],
    // 62^3 less those that lack a class: 3 × 2 × 1 orders of 26 × 26 × 10.
    ['alnum:3', Math.log2(6 * 26 * 26 * 10)],
    ['alnum:1', Math.log2(62)],
  ])('counts the entropy of %s', (spec, bits) => {
    expect(bitsOf(parseGenerate(spec))).toBe(Math.floor(bits + 1e-9));
  });

  test.each([
    [''],
    ['alnum:0'],
    ['alnum:4097'],
    ['alnum:-1'],
    ['alnum: 3'],
    ['uuid:4'],
    ['nope:3'],
    ['constructor:4'],
    ['uuid,safe=url'],
    ['alnum:8,'],
    ['alnum:8,safe'],
    ['alnum:8,nope=1'],
    ['rsa:1024'],
    ['ec:p192'],
    ['ec:constructor'],
    ['ssh-nope'],
    ['tls:4,names=a'],
    ['words:0'],
  ])('refuses %j', (spec) => {
    expect(() => parseGenerate(spec)).toThrow(/is not a spec for a random value|has no option/);
  });
});
