/** What docs/exec.md and docs/env.md list is what the program has. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENV_FORMATS } from '../../src/core/environment/formats.ts';
import { PRISTINE } from '../../src/core/environment/environment.ts';
import { ROOT } from '../e2e/program.ts';

const page = (name: string): string => readFileSync(join(ROOT, 'docs', name), 'utf8');

test('docs/env.md has every format', () => {
  const listed = [...page('env.md').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  expect(listed).toEqual([...ENV_FORMATS]);
});

test('docs/exec.md has the allow list of --pristine', () => {
  const [, section = ''] = page('exec.md').split('## `--pristine`');
  const listed = [...section.matchAll(/`(\w+\*?)`/g)].map(([, name]) => name);
  expect(listed.toSorted()).toEqual([...PRISTINE, 'LC_*'].toSorted());
});
