/** A HOME that is another user's, no folder, or none at all. */
import { chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { ROOT_USER, testNeeding } from '../needs.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const run = (home: string, line: string): Promise<Outcome> => place.sh(line, { HOME: home });

testNeeding(ROOT_USER)('root makes nothing in the HOME of another user (needs root)', async () => {
  const home = join(place.root, 'theirs');
  await mkdir(home);
  await chown(home, 12_345, 12_345);
  const put = await run(home, 'printf v | secrets put local://a');
  expect(put).toMatchObject({ stdout: '', code: 4 });
  expect(put.stderr).toMatch(
    /theirs belongs to another user \(uid 12345\), as HOME does; run it as that user/,
  );
  expect(await run(home, 'secrets get local://a')).toMatchObject({ stdout: '', code: 3 });
  for (const line of [
    'secrets list',
    'secrets exec -e A=local://a -- true',
    'secrets exec --allow-empty --redact -- true',
    'secrets env -e A=local://a',
    'secrets rotate local://a --generate hex:8 --create',
    'secrets trust --list',
    'secrets stores',
    'secrets audit log',
    'secrets doctor',
    'secrets init --dry-run',
  ])
    await run(home, line);
  expect(await readdir(home)).toEqual([]);
  // Where HOME is root's own, the owner of another folder does not matter.
  await chown(place.cwd, 12_345, 12_345);
  const own = await place.sh('printf v | secrets put --quiet local://a; secrets get local://a');
  expect(own).toMatchObject({ stdout: 'v', code: 0 });
});

test('a relative HOME makes no store in the working directory', async () => {
  for (const home of ['home', './x', '']) {
    const outcome = await run(home, 'printf v | secrets put local://a');
    expect(outcome).toMatchObject({ stdout: '', code: 2 });
    expect(outcome.stderr).toMatch(/^secrets: HOME is not an absolute path, .*\n$/);
  }
  expect(await readdir(place.cwd)).toEqual([]);
  expect(await run('x', 'secrets --version')).toMatchObject({ code: 0 });
});

test('a HOME that is no folder has nothing in it', async () => {
  const file = join(place.root, 'file');
  await writeFile(file, '');
  for (const home of ['/dev/null', file]) {
    expect(await run(home, 'secrets get --quiet local://a')).toMatchObject({ stdout: '', code: 3 });
    expect(await run(home, 'secrets list --quiet local://')).toEqual({ stdout: '', stderr: '', code: 0 });
    expect(await run(home, 'secrets stores --quiet')).toMatchObject({ stderr: '', code: 0 });
    expect(await run(home, 'secrets trust --list')).toEqual({ stdout: '', stderr: '', code: 0 });
    const put = await run(home, 'printf v | secrets put --quiet local://a');
    expect(put.code).toBe(1);
    expect(put.stderr).toMatch(/^secrets: local:\/\/a: cannot create a folder: .*\n$/);
  }
});
