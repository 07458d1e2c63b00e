/** docs/configuration.md against the program. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { looseFileSchema } from '../../src/config/schema.ts';
import { steers } from '../../src/core/environment/steering.ts';
import { ROOT } from '../e2e/program.ts';
import { makeMachine } from './setup.ts';

const page = readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8');

/** The program's sources. */
const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'));

test.each(['docs/configuration.md', 'README.md'])('every secrets.yaml of %s is one', async (file) => {
  const blocks = [...readFileSync(join(ROOT, file), 'utf8').matchAll(/^```yaml\n([^]*?)^```$/gm)].map(
    ([, yaml = '']) => yaml,
  );
  expect(blocks.length).toBeGreaterThan(0);
  const machine = makeMachine();
  try {
    for (const yaml of blocks) {
      machine.write('home/secrets.yaml', yaml);
      const { env, stores } = await machine.load('home');
      expect(env.size + stores.size).toBeGreaterThan(1);
    }
  } finally {
    machine.remove();
  }
});

test('names every variable SECRETS_… that the program reads', () => {
  const read = new Set(
    sources.flatMap((text) =>
      [...text.matchAll(/\benv\[?\.?\[?'(SECRETS_[A-Z_]+)'\]/g)].map(([, name]) => name ?? ''),
    ),
  );
  expect(read.size).toBeGreaterThan(4);
  for (const name of read) expect(page).toContain(`\`${name}\``);
});

test('names every key of the file', () => {
  for (const key of Object.keys(looseFileSchema.entries))
    expect(page).toMatch(new RegExp(`^\\| \`${key}\` \\|`, 'm'));
});

test('the variables it names for trust are such', () => {
  for (const name of ['PATH', 'LD_PRELOAD', 'NODE_OPTIONS', 'BASH_ENV', 'HTTPS_PROXY', 'GIT_SSH'])
    expect(steers(name)).toBe(true);
});
