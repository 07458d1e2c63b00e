/** `get --out`: what lies beside the file while it is written, and what a killed run leaves. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pidNamespace } from '../../src/platform/process-identity.ts';
import { makePlace, type Place } from '../e2e/program.ts';
import { program, testNeeding } from '../needs.ts';

let place: Place;
beforeEach(async () => {
  place = await makePlace();
  await place.sh('printf canary-1 | SECRETS_LOCAL_KEY_METHOD=key-file secrets put --quiet a');
});
afterEach(() => place.remove());

test('only a folder that git ignores lies beside it', async () => {
  const names = new Set<string>();
  const watcher = watch(place.cwd, (_, name) => names.add(String(name)));
  const { code } = await place.sh('secrets get a --out out');
  while (!names.has('out')) await new Promise((resolve) => setTimeout(resolve, 10));
  watcher.close();
  expect([code, readFileSync(join(place.cwd, 'out'), 'utf8')]).toEqual([0, 'canary-1']);
  expect(statSync(join(place.cwd, 'out')).mode & 0o777).toBe(0o600);
  const others = [...names].filter((name) => name !== 'out');
  expect(others).toEqual([expect.stringMatching(/^\.out\.secrets-\d+-\d+-\d+-[0-9a-f]{16}$/)]);
  expect(readdirSync(place.cwd)).toEqual(['out']);
});

testNeeding(program('git'))(
  'what a killed run leaves is ignored by git, and removed by the next run',
  async () => {
    spawnSync('git', ['init', '-q'], { cwd: place.cwd, env: place.env });
    // Killed when it has written the value and would put it in its place.
    const killed = await place.sh(
      `cat > kill.mjs <<'END'
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
fs.renameSync = () => process.kill(process.pid, 'SIGKILL');
syncBuiltinESMExports();
END
NODE_OPTIONS="--import=./kill.mjs" secrets get a --out out; rm kill.mjs; exit 0`,
    );
    expect(killed.code).toBe(0);
    const [left = ''] = readdirSync(place.cwd).filter((name) => name.startsWith('.out.'));
    expect(readFileSync(join(place.cwd, left, 'file'), 'utf8')).toBe('canary-1');
    const status = await place.sh('git status --porcelain -uall');
    expect(status.stdout).toBe('');
    const foreign = `.out.secrets-0${pidNamespace()}-1-1-0123456789abcdef`;
    mkdirSync(join(place.cwd, foreign));
    writeFileSync(join(place.cwd, foreign, 'file'), 'of another container');
    expect((await place.sh('secrets get a --out out')).code).toBe(0);
    expect([existsSync(join(place.cwd, left)), existsSync(join(place.cwd, foreign))]).toEqual([false, true]);
  },
);
