/**
 * Every command under a policy that permits nothing, and under one that permits everything: the lines are those of the
 * audit's tests, so that a command has no way around the policies which leaves no record either.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../../src/commands/index.ts';
import { COMMAND_ACTIONS } from '../../src/core/policy/actions.ts';
import { LINES } from '../audit/lines.ts';
import { accessesIn, logOf, shortOf } from '../audit/program.ts';
import { makePlace, type Place } from '../e2e/program.ts';

const ALL = '@id("all") permit(principal, action, resource);\n';
const NONE = '// Nothing is permitted.\n';

let place: Place;
beforeAll(async () => {
  place = await makePlace();
  await place.sh('mkdir -m 700 -p "$HOME/.config/secrets"; printf x | secrets put local://unused');
});
afterAll(() => place.remove());

const lines = LINES.filter(({ store = 'local' }) => store === 'local');

async function run(line: string, policy: string) {
  writeFileSync(join(place.home, '.config/secrets/secrets.policy.cedar'), policy);
  const before = accessesIn(logOf(place)).length;
  const { code, stderr } = await place.sh(line.replaceAll('@', 'local://'));
  const records = accessesIn(logOf(place)).slice(before);
  const short = [...new Set(records.map(shortOf))].toSorted();
  return { code, stderr, short, records };
}

function expected(records: readonly string[], outcome: string): readonly string[] {
  const full = records.map((one) => (one.split(' ').length > 2 ? one : `${one} ${outcome}`));
  return [...new Set(full.map((one) => one.replaceAll('@', 'local://')))].toSorted();
}

// In this order: later lines use what earlier ones wrote.
test.each(lines)('$line', async ({ line, records, exit = 0, denied = records }) => {
  const refused = await run(line, NONE);
  const notDenied = refused.short.filter((record) => !record.endsWith(' denied Policy'));
  expect({ line, notDenied, stderr: refused.stderr }).toEqual({
    line,
    notDenied: [],
    stderr: expect.any(String) as string,
  });
  if (denied.length > 0) {
    expect(refused.short.length).toBeGreaterThan(0);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/no policy in \S+ permits \S+ to \w+/);
  }

  const allowed = await run(line, ALL);
  expect({ line, code: allowed.code, short: allowed.short, stderr: allowed.stderr }).toEqual({
    line,
    code: exit,
    short: expected(records, 'allowed'),
    stderr: expect.any(String) as string,
  });
  const ofStores = allowed.records.filter(
    ({ outcome, action }) => outcome === 'allowed' && action !== 'rotate',
  );
  expect(ofStores.map(({ policies }) => policies)).toEqual(ofStores.map(() => ['user:all']));
});

test('every command of the program says which actions it needs, and no other does', () => {
  const known = commands.flatMap(({ name, subcommands = [], load }) => [
    ...(load === undefined ? [] : [name]),
    ...subcommands.map((sub) => `${name} ${sub.name}`),
  ]);
  // Terraform's calls are made under names that no command has.
  const own = Object.keys(COMMAND_ACTIONS).filter(
    (name) => !/^terraform (data|ephemeral|resource)$/.test(name),
  );
  expect(own.toSorted()).toEqual(known.toSorted());
});
