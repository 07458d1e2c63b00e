/** Several rotations at a time with a log that is `required` and can't be written: none ends the others. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { logOf } from '../audit/program.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';

let place: Place;
let log: string;
beforeEach(async () => {
  place = await makePlace();
  log = logOf(place);
  mkdirSync(join(place.home, '.config/secrets'), { recursive: true, mode: 0o700 });
  await place.sh('for name in a b c; do printf v | secrets put --quiet $name; done');
});
afterEach(() => place.remove());

const settings = (rotation: object): void =>
  writeFileSync(
    join(place.home, '.config/secrets/secrets.yaml'),
    JSON.stringify({ audit: { log: 'required' }, rotation }),
  );
const program = (name: string, text: string): string => {
  const path = join(place.cwd, name);
  writeFileSync(path, `#!/bin/sh\ncd '${place.cwd}'\ncat > /dev/null\n${text}\n`, { mode: 0o755 });
  return path;
};
/** Waits for a file, and for this text in it. */
const until = (file: string, text = ''): string =>
  `for n in $(seq 1200); do grep -qs '${text}' ${file} && break; sleep 0.1; done; grep -qs '${text}' ${file} || exit 1`;
const linesOf = ({ stdout }: Outcome): readonly Readonly<Record<string, unknown>>[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    .toSorted((one, other) => (String(one['reference']) < String(other['reference']) ? -1 : 1));

test('each is said, and the code is that of the log where it is alone', async () => {
  settings({ parallel: 1 });
  await place.sh(`mv '${log}' kept; mkdir '${log}'`);
  const error = { kind: 'Policy', message: expect.stringMatching(/audit log/) as string };
  const one = await place.sh('secrets rotate a --generate hex:8 --json');
  expect({ code: one.code, lines: linesOf(one) }).toMatchObject({
    code: 8,
    lines: [{ reference: 'local://a', outcome: 'unchanged', error }],
  });
  const all = await place.sh('secrets rotate a b c --generate hex:8 --json');
  expect({ code: all.code, lines: linesOf(all) }).toMatchObject({
    code: 7,
    lines: ['a', 'b', 'c'].map((name) => ({ reference: `local://${name}`, outcome: 'unchanged', error })),
  });
  // What failed is said beside that.
  const missing = await place.sh('secrets rotate nope://x --generate hex:8');
  expect(missing.stderr).toMatch(/no store named nope/);
});

test('one that is under way is waited for, and told of, when the failure of another can’t be recorded', async () => {
  // The log is away until the others are told of.
  const away = `mv '${log}' kept; mkdir '${log}'; echo > broken`;
  const breaks = `${away}; ${until('out', 'local://b')}; ${until('out', 'local://c')}; rmdir '${log}'; mv kept '${log}'`;
  settings({
    parallel: 2,
    a: { target: { type: 'program', apply: program('slow', `${until('begun')}; ${breaks}`) } },
    b: { target: { type: 'program', apply: program('quick', `echo > begun; ${until('broken')}`) } },
  });
  const outcome = await place.sh(
    'secrets rotate a b c --generate hex:8 --json > out; c=$?; cat out; exit $c',
  );
  expect(linesOf(outcome)).toMatchObject([
    // Once the log has failed, the command changes no more.
    { reference: 'local://a', outcome: 'stuck', error: { kind: 'Policy' } },
    { reference: 'local://b', error: { kind: 'Policy' } },
    { reference: 'local://c', outcome: 'unchanged', error: { kind: 'Policy' } },
  ]);
  expect(outcome.code).toBe(7);
  // Its program has come to its end.
  expect((await place.sh(`[ -f '${log}' ]`)).code).toBe(0);
});
