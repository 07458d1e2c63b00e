/**
 * The floors of src, and the rule of the linter that keeps imports from going up (`house/floors` in .oxlintrc.json).
 * docs/architecture.md draws them. Types count: who needs a type of a room can't be understood without that room.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the ground up. Rooms of one floor know nothing of each other. */
export const FLOORS = [
  ['core'],
  ['platform'],
  ['providers', 'output'],
  ['audit'],
  ['config'],
  ['policy'],
  ['session'],
  ['exec', 'rotation', 'transfer', 'agent', 'access', 'inject', 'terraform', 'scan'],
  ['report'],
  ['commands'],
  ['cli'],
];

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** The room of a file, by its path; undefined outside of src. */
function roomOf(path) {
  const [room = '', ...rest] = relative(SRC, path).split('/');
  return room === '..' || room === '' ? undefined : rest.length === 0 ? '.' : room;
}

const floorOf = (room) => FLOORS.findIndex((rooms) => rooms.includes(room));

/** What is wrong with an import, as one sentence for each thing to do; undefined for one that goes down. */
export function problem(file, specifier) {
  const from = roomOf(file);
  if (from === undefined) return undefined;
  if (!specifier.startsWith('.')) return isDetour(specifier) ? DETOUR : undefined;
  const to = roomOf(resolve(dirname(file), specifier));
  if (to === undefined)
    return 'src imports its own files and packages alone: what it needs stands in a room of src';
  for (const room of [from, to])
    if (floorOf(room) === -1)
      return room === '.'
        ? 'a file of src stands in a room: none stands in src itself (docs/architecture.md)'
        : `src/${room} has no floor: give it one in scripts/floors.mjs and in docs/architecture.md`;
  if (from === to || floorOf(to) < floorOf(from)) return undefined;
  const beside = floorOf(to) === floorOf(from);
  const below = FLOORS.slice(0, floorOf(from)).flat();
  return (
    `src/${to} ${beside ? 'stands beside' : 'is above'} src/${from}, which knows nothing of it. ` +
    `What needs src/${to} belongs in ${beside ? 'a room above both' : `src/${to} or above it`}; ` +
    `what both need belongs in ${below.length === 0 ? `src/${from}` : `a room below both (${below.join(', ')})`}`
  );
}

const DETOUR = 'this reaches files past the floors: import a file of src by its relative path';

/** A path, this package's own name, and what loads a file by a name that is made at run time. */
function isDetour(specifier) {
  return /^(?:[/#]|file:|secrets(?:\/|$)|(?:node:)?module$)/.test(specifier);
}

/** Relative paths that a file imports, types and what is loaded later too. */
const IMPORTS = /(?:\bfrom|\bimport)\s*\(?\s*['"`](\.[^'"`]+)['"`]/g;
const imported = new Map();

function importsOf(file) {
  if (!imported.has(file)) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    imported.set(
      file,
      [...text.matchAll(IMPORTS)].map(([, specifier]) => fileOf(file, specifier)),
    );
  }
  return imported.get(file);
}

function fileOf(from, specifier) {
  const path = resolve(dirname(from), specifier);
  return existsSync(path) ? path : path.replace(/\.js$/, '.ts');
}

/** Whether an import leads back to its file. `import/no-cycle` sees no `import()`, neither of types nor of values. */
function leadsBack(file, specifier) {
  const open = [fileOf(file, specifier)];
  const seen = new Set(open);
  for (const one of open) {
    if (one === file) return true;
    for (const next of importsOf(one)) if (!seen.has(next)) open.push((seen.add(next), next));
  }
  return false;
}

const floors = {
  create(context) {
    const report = (node, message) => {
      if (message !== undefined) context.report({ node, message });
    };
    const textOf = (node) => {
      const plain = node?.type === 'TemplateLiteral' && node.expressions.length === 0;
      return plain ? node.quasis[0].value.cooked : (node?.value ?? node?.literal?.value);
    };
    const check = (node) => {
      const specifier = textOf(node);
      if (typeof specifier === 'string') report(node, problem(context.filename, specifier));
    };
    const checkCall = (node) => {
      check(node);
      const specifier = textOf(node);
      if (roomOf(context.filename) === undefined) return;
      if (typeof specifier !== 'string') report(node, DETOUR);
      else if (specifier.startsWith('.') && leadsBack(context.filename, specifier))
        report(node, `this leads back to its own file (a dependency cycle): ${specifier}`);
    };
    return {
      ImportDeclaration: ({ source }) => check(source),
      ExportNamedDeclaration: ({ source }) => check(source),
      ExportAllDeclaration: ({ source }) => check(source),
      ImportExpression: ({ source }) => checkCall(source),
      TSImportType: ({ source, argument }) => checkCall(source ?? argument),
      TSExternalModuleReference: ({ expression }) => check(expression),
      TSModuleDeclaration: ({ id }) => check(id),
      MetaProperty: ({ parent }) => {
        if (parent?.property?.name === 'resolve' && roomOf(context.filename) !== undefined)
          report(parent, DETOUR);
      },
    };
  },
};

export default { meta: { name: 'house' }, rules: { floors } };
