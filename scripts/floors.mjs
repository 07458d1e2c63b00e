/**
 * The floors of src, and the rule of the linter that keeps imports from going up (`house/floors` in .oxlintrc.json).
 * docs/architecture.md draws them. Types count: who needs a type of a room can't be understood without that room.
 */
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the ground up. Rooms of one floor know nothing of each other. */
export const FLOORS = [
  ['core'],
  ['platform'],
  ['providers', 'output'],
  ['audit'],
  ['config'],
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
  if (!specifier.startsWith('.')) return undefined;
  const from = roomOf(file);
  const to = roomOf(resolve(dirname(file), specifier));
  if (from === undefined || to === undefined) return undefined;
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

const floors = {
  create(context) {
    const check = (node) => {
      const specifier = node?.value ?? node?.literal?.value;
      const message = typeof specifier === 'string' ? problem(context.filename, specifier) : undefined;
      if (message !== undefined) context.report({ node, message });
    };
    return {
      ImportDeclaration: ({ source }) => check(source),
      ExportNamedDeclaration: ({ source }) => check(source),
      ExportAllDeclaration: ({ source }) => check(source),
      ImportExpression: ({ source }) => check(source),
      TSImportType: ({ source, argument }) => check(source ?? argument),
    };
  },
};

export default { meta: { name: 'house' }, rules: { floors } };
