/** Warnings and debug lines hide what errors hide, in order. */
import { keepOut } from '../../src/output/confidential.ts';
import { StderrLines } from '../../src/output/stderr-lines.ts';
import type { World } from '../../src/platform/world.ts';

test('every spelling is hidden from the first line on, and lines keep their order', async () => {
  const written: string[] = [];
  const world = { env: {}, stderr: { write: (text: string) => written.push(text) } } as unknown as World;
  const lines = new StderrLines(world);
  lines.write('warning: before there is anything to hide');
  expect(written).toHaveLength(1);
  keepOut(Buffer.from('p&ss "w<rd>'));
  lines.write('warning: refused: p\\u0026ss \\"w\\u003crd>');
  lines.write('debug: 7026737320');
  lines.write(`debug: ${Buffer.from('p&ss "w<rd>').toString('hex')}`);
  await lines.written;
  keepOut(Buffer.from('another one'));
  lines.write('warning: another%20one and p&amp;ss &quot;w&lt;rd&gt;');
  expect(lines.written).toBeUndefined();
  expect(written.slice(1)).toEqual([
    'secrets: warning: refused: ***\n',
    'secrets: debug: 7026737320\n',
    'secrets: debug: ***\n',
    'secrets: warning: *** and ***\n',
  ]);
});
