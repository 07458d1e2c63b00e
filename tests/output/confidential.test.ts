/** What messages hide: the newest values, within a bound that leaves room to look for every spelling of them. */
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
