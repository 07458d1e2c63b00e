/** What messages hide: the newest values, within a bound that leaves room to look for every spelling of them. */
import { excerpt } from '../../src/core/errors.ts';
import { clean, keepOut, learnSpellings } from '../../src/output/confidential.ts';

const world = { env: {} };

test('many large values neither pile up nor keep a message from being shown', async () => {
  for (let n = 0; n < 500; n += 1)
    keepOut(Buffer.from(`value-${String(n).padStart(4, '0')}-`.repeat(20_000)));
  keepOut(Buffer.from('the newest value'));
  await learnSpellings(world);
  expect(clean('refused: the newest value', world)).toBe('refused: ***');
  expect(clean(`refused: ${'value-0499-'.repeat(50)}`, world)).not.toContain('value-0499-value');
});

describe('a text that was cut in the middle of a value', () => {
  const value = 'correct-horse-battery-staple';
  const hidden = async (text: string): Promise<string> => {
    keepOut(Buffer.from(value));
    await learnSpellings(world);
    return clean(text, world);
  };

  test.each([
    ['…'],
    ['...'],
    ['...[truncated]'],
    [' (truncated 40 bytes)'],
    ['"... is not valid JSON'],
    ['…; the change may have been made'],
  ])('before %s hides what it begins with, in any spelling', async (rest) => {
    for (const [encoded, length] of [
      [value, 14],
      [Buffer.from(value).toString('base64'), 20],
      [Buffer.from(value).toString('hex'), 40],
      [[...value].map((char) => `\\u00${char.charCodeAt(0).toString(16)}`).join(''), 70],
    ] as const)
      expect((await hidden(`no: ${encoded.slice(0, length)}${rest}`)).replace(rest, '')).toBe('no: ***');
  });

  test('hides whole values before and after, and nothing else', async () => {
    const text = `wait... ${value}… then ${value}... and so on...`;
    expect(await hidden(text)).toBe('wait... ***… then ***... and so on...');
  });

  test('is marked by what cuts it', async () => {
    const said = excerpt(`${'x'.repeat(280)} ${value}`);
    expect(await hidden(said)).toBe(`${'x'.repeat(280)} ***…`);
    expect(excerpt('x'.repeat(300))).toBe('x'.repeat(300));
  });
});
