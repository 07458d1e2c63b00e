import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { ROOT } from '../e2e/program.ts';

const { FLOORS, problem } = (await import(join(ROOT, 'scripts/floors.mjs'))) as {
  FLOORS: readonly (readonly string[])[];
  problem: (file: string, specifier: string) => string | undefined;
};

let house: string;
beforeEach(() => {
  house = realpathSync(mkdtempSync(join(tmpdir(), 'house-')));
  cpSync(join(ROOT, '.oxlintrc.json'), join(house, '.oxlintrc.json'));
  cpSync(join(ROOT, 'scripts/floors.mjs'), join(house, 'scripts/floors.mjs'));
  symlinkSync(join(ROOT, 'node_modules'), join(house, 'node_modules'));
});
afterEach(() => rmSync(house, { recursive: true, force: true }));

/** What the linter says of these files, by the project's own configuration: a line for each finding. */
function lint(files: Readonly<Record<string, string>>): readonly string[] {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(house, path)), { recursive: true });
    writeFileSync(join(house, path), text);
  }
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    [join(ROOT, 'node_modules/oxlint/bin/oxlint'), '--deny-warnings', '--format', 'unix', 'src'],
    { cwd: house, encoding: 'utf8' },
  );
  if (status !== 0 && stdout === '') throw new Error(stderr);
  return stdout.split('\n').filter((line) => line.startsWith(house) || line.startsWith('src/'));
}

const provider = { 'src/providers/provider.ts': 'export interface Provider {}\nexport const one = 1;\n' };

test('an import that goes down passes', () => {
  expect(
    lint({ ...provider, 'src/session/a.ts': "export type { Provider } from '../providers/provider.ts';\n" }),
  ).toEqual([]);
});

test.each([
  ['a type', "import type { Provider } from '../providers/provider.ts';\nexport type A = Provider;\n"],
  ['a value', "import { one } from '../providers/provider.ts';\nexport const a = one;\n"],
  ['a type without a statement', "export type A = import('../providers/provider.ts').Provider;\n"],
  ['what is loaded later', "export const a = (): Promise<unknown> => import('../providers/provider.ts');\n"],
  ['what is handed on', "export { one } from '../providers/provider.ts';\n"],
  ['everything', "export * from '../providers/provider.ts';\n"],
])('%s of a room above is refused, with the room that it belongs in', (_what, text) => {
  const found = lint({ ...provider, 'src/platform/a.ts': text });
  expect(found).toHaveLength(1);
  expect(found[0]).toContain('src/platform/a.ts');
  expect(found[0]).toContain(
    'src/providers is above src/platform, which knows nothing of it. ' +
      'What needs src/providers belongs in src/providers or above it; ' +
      'what both need belongs in a room below both (core)',
  );
});

test.each([
  [
    'a template',
    'export const a = (): Promise<unknown> => import(`../providers/provider.ts`);\n',
    'is above',
  ],
  ['an assignment', "import p = require('../providers/provider.ts');\nexport { p };\n", 'is above'],
  [
    'a declaration',
    "declare module '../providers/provider.ts' {\n  interface A {}\n}\nexport {};\n",
    'is above',
  ],
  [
    'a made name',
    'export const a = (b: string): Promise<unknown> => import(`../providers/${b}`);\n',
    'past the floors',
  ],
  [
    'require',
    "import { createRequire } from 'node:module';\nexport const a = createRequire;\n",
    'past the floors',
  ],
  ['an absolute path', "export { one } from '/src/providers/provider.ts';\n", 'past the floors'],
  ['the package', "export { one } from 'secrets/dist/providers/provider.js';\n", 'past the floors'],
  ['resolve', "export const a = import.meta.resolve('../providers/provider.ts');\n", 'past the floors'],
  ['the built program', "export { one } from '../../dist/main.js';\n", 'in a room of src'],
  ['the tests', "export { one } from '../../tests/size.ts';\n", 'in a room of src'],
])('so is a detour by %s', (_what, text, message) => {
  const found = lint({ ...provider, 'src/platform/a.ts': text });
  expect(found.filter((line) => line.includes('house(floors)'))).toEqual([expect.stringContaining(message)]);
});

test('no file switches the rules of floors and cycles off', () => {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.[cm]?[jt]sx?$/.test(file),
  );
  const disables = files.flatMap((file) =>
    [...readFileSync(join(ROOT, 'src', file), 'utf8').matchAll(/(?:ox|es)lint-disable[^\n]*/g)].map(
      ([text]) => `${file}: ${text}`,
    ),
  );
  expect(files.length).toBeGreaterThan(0);
  expect(
    disables.filter((text) => !/disable(?:-next-line)? (?:max-lines|no-control-regex)\b/.test(text)),
  ).toEqual([]);
});

test('rooms of one floor know nothing of each other', () => {
  const [found, ...more] = lint({
    ...provider,
    'src/output/deep/a.ts': "export { one } from '../../providers/provider.ts';\n",
  });
  expect(more).toEqual([]);
  expect(found).toContain('src/providers stands beside src/output');
});

test('a folder inside of a room that is called like one above is none', () => {
  expect(
    lint({
      'src/core/audit/line.ts': 'export const line = 1;\n',
      'src/core/a.ts': "export { line } from './audit/line.ts';\n",
      'src/core/findings/a.ts': "export { line } from '../audit/line.ts';\n",
    }),
  ).toEqual([]);
});

test('two files that import each other are refused, types alone too', () => {
  const found = lint({
    'src/core/a.ts': "import type { B } from './b.ts';\nexport type A = B | 1;\n",
    'src/core/b.ts': "import type { A } from './a.ts';\nexport type B = A | 2;\n",
  });
  expect(found.map((line) => /Dependency cycle/.test(line))).toEqual([true, true]);
});

test.each([
  ['a type', "export type B = import('./a.ts').A | 2;\n"],
  [
    'what is loaded later',
    "export type B = 2;\nexport const b = (): Promise<unknown> => import('./a.ts');\n",
  ],
])('so is a cycle by import() of %s', (_what, text) => {
  const found = lint({
    'src/core/a.ts': "import type { B } from './b.ts';\nexport type A = B | 1;\n",
    'src/core/b.ts': text,
  });
  expect(found).toEqual([expect.stringMatching(/src\/core\/b\.ts.* leads back to its own file/)]);
});

test('so is a file in no room, and a room without a floor', () => {
  const at = (path: string): string => join(ROOT, path);
  expect(problem(at('src/loose.ts'), './core/errors.ts')).toMatch(/none stands in src itself/);
  expect(problem(at('src/core/a.ts'), '../loose.ts')).toMatch(/none stands in src itself/);
  expect(problem(at('src/attic/a.ts'), '../core/errors.ts')).toMatch(/src\/attic has no floor/);
  // Tests and scripts may look into every room.
  expect(problem(at('tests/core/a.ts'), '../../src/cli/cli.ts')).toBeUndefined();
});

test('each folder of src has one floor', () => {
  const rooms = FLOORS.flat();
  expect(new Set(rooms).size).toBe(rooms.length);
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath }) => relative(join(ROOT, 'src'), parentPath).split('/', 1)[0]);
  expect(files.length).toBeGreaterThan(0);
  for (const room of new Set(files)) expect(rooms).toContain(room);
});
