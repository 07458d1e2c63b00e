/** What docs/inject.md says is what the program has, and its first example runs as it is printed. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FILTERS } from '../../src/inject/filters.ts';
import { FORMATS } from '../../src/inject/formats/names.ts';
import { ROOT } from '../e2e/program.ts';
import { Box, NODE, PROGRAM } from '../exec/setup.ts';

const page = readFileSync(join(ROOT, 'docs/inject.md'), 'utf8');

test('the page has every format and every filter', () => {
  const [, formats = ''] = page.split('## Formats');
  const listed = [...formats.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  expect(listed.toSorted()).toEqual([...FORMATS].toSorted());
  for (const filter of FILTERS) expect(page).toMatch(new RegExp(`\\\\\\| ${filter} \\}\\}|\`${filter}\``));
});

test('the first example', () => {
  const box = new Box();
  try {
    const example = /```sh\n([^]*?)```/.exec(page)?.[1] ?? '';
    const bin = join(box.root, 'secrets');
    writeFileSync(bin, `#!/bin/sh\nexec ${NODE} ${PROGRAM} "$@"\n`, { mode: 0o755 });
    const { stdout, status } = spawnSync('bash', ['-e', '-c', example], {
      cwd: box.cwd,
      env: { ...box.env, PATH: `${box.root}:${box.env['PATH']}` },
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    const wanted = /^cat .*# (.*)$/m.exec(example)?.[1];
    expect(stdout).toBe(wanted);
  } finally {
    box.remove();
  }
});
