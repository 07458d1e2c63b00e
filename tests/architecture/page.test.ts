import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from '../e2e/program.ts';

const page = readFileSync(join(ROOT, 'docs/architecture.md'), 'utf8');
const { FLOORS } = (await import(join(ROOT, 'scripts/floors.mjs'))) as {
  FLOORS: readonly (readonly string[])[];
};

/** Every path that the page names; one with `<name>` stands for several. */
const PATH = /(?<![\w/.-])(?:bench|bin|docs|schemas|scripts|src|tests)\/[\w./<>-]*[\w>]/g;
const paths = [...new Set(page.match(PATH))];

/** Files and folders of the checkout that a path stands for. */
function found(path: string): readonly string[] {
  if (!path.includes('<')) return existsSync(join(ROOT, path)) ? [path] : [];
  const folder = path.slice(0, path.indexOf('<')).replace(/\/[^/]*$/, '');
  const pattern = new RegExp(`^${path.replaceAll(/[.+]/g, '\\$&').replaceAll(/<[^>]+>/g, '[\\w-]+')}$`);
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name}`)
    .filter((name) => pattern.test(name));
}

test('names paths of the code', () => {
  expect(paths.length).toBeGreaterThan(80);
});

test.each(paths)('%s exists', (path) => {
  expect(found(path)).not.toEqual([]);
});

test('each folder of src stands on the page', () => {
  const folders = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath }) => relative(ROOT, parentPath));
  const missing = [...new Set(folders)].filter((folder) => !paths.includes(folder));
  expect(missing).toEqual([]);
});

test('each floor that has a room is drawn, in the order of the linter', () => {
  const drawn = [...page.matchAll(/^ +(\d+) {2}([a-z].*)$/gm)].map(([, floor, line = '']) => ({
    floor: Number(floor),
    rooms: (line.split(/ {4,}/, 1)[0] ?? '').split(/ {2,}/),
  }));
  const built = FLOORS.map((rooms, index) => ({
    floor: index + 1,
    rooms: rooms.filter((room) => existsSync(join(ROOT, 'src', room))),
  }));
  expect(drawn.toReversed()).toEqual(built);
});

test('links lead to headings of the page', () => {
  const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
  const links = [...page.matchAll(/\]\(#([\w-]+)\)/g)].map(([, anchor]) => anchor);
  expect(links.length).toBeGreaterThan(5);
  for (const link of links) expect(headings).toContain(link);
});
