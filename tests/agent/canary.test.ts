/** A session with both doors of the built agent, with errors, kills and debug output: the value is on no disk. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { searchDisk, writtenForms } from '../e2e/disk-search.ts';
import { watchProcesses } from '../e2e/leak-watch.ts';
import { describeNeeding, program } from '../needs.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';
import { type BothDoors, startBothDoors, startUpstream, type Upstream } from './upstream.ts';
import { ask } from './vault/kit.ts';

/** With characters that JSON, URLs and shells escape. Of this run alone. */
const CANARY = `c4n4ry"/\\+&$ ${randomBytes(12).toString('hex')}`;
const FORMS = writtenForms(CANARY);

let upstream: Upstream;
let place: AgentPlace;
let marker: string;
beforeEach(async () => {
  upstream = await startUpstream(CANARY);
  place = await makeAgentPlace();
  marker = join(place.root, 'marker');
  writeFileSync(marker, '');
  // What is newer has to be by a tick of the file system's clock.
  await new Promise((resolve) => setTimeout(resolve, 50));
});
afterEach(async () => {
  await place.remove();
  await upstream.stop();
});

/** Uses both doors: with success, with errors, denied, while the store is away. */
async function useDoors(agent: BothDoors, env: Readonly<Record<string, string>>): Promise<string> {
  const { address, token } = agent;
  const outputs: string[] = [];
  const refusals: string[] = [];
  outputs.push((await ask(address, '/v1/vault/data/app', { token })).body);
  for (const path of ['data/gone', 'metadata/app', 'data/a%00', 'nowhere'])
    refusals.push((await ask(address, `/v1/vault/${path}`, { token })).body);
  await ask(address, '/v1/vault/data/app', { token: 'hvs.unknown' });
  await ask(address, '/v1/vault/data/app', { token, headers: { Origin: 'https://evil.example.com' } });
  await ask(address, '/v1/vault/data/app', {
    token,
    method: 'POST',
    body: JSON.stringify({ data: { k: CANARY } }),
  });
  await ask(address, '/v1/vault/data/app', {
    token,
    method: 'POST',
    body: `{"data":${JSON.stringify(CANARY)}`,
  });
  upstream.fault({ answer: { status: 500, body: JSON.stringify({ errors: [`no ${CANARY}`] }) } });
  refusals.push((await ask(address, '/v1/vault/data/other', { token })).body);
  // Searched with the rest.
  writeFileSync(join(place.cwd, 'refusals'), refusals.join('\n'));
  await place.sh('secrets get --debug vault://another 2>>debug.log', env);
  upstream.heal();
  for (const line of ['vault://app#k', '--json vault://app', 'vault://gone', 'vault://app#none'])
    outputs.push((await place.sh(`secrets get --debug ${line} 2>>debug.log`, env)).stdout);
  await place.sh('secrets exec --debug -e A=vault://app#k -- sh -c "kill -9 \\$\\$" 2>>debug.log', env);
  await place.sh(
    'secrets agent status --json >>debug.log; secrets agent status --debug >>debug.log 2>&1',
    env,
  );
  return outputs.join('');
}

describeNeeding(program('find'))('what a session leaves', () => {
  test('has the value in no file, no argument and no environment', async () => {
    const runtime = mkdtempSync('/dev/shm/secrets-canary-');
    const env = { ...upstream.env, XDG_RUNTIME_DIR: runtime };
    const flags = ['--debug', '--fresh', '1ms', '--ttl', '1m', '--write', 'vault://'];
    const session = async (): Promise<string> => {
      const first = await startBothDoors(place, env, ...flags);
      const shown = await useDoors(first, env);
      first.signal('SIGKILL');
      await first.ended;
      writeFileSync(join(place.cwd, 'first.log'), first.output());
      const second = await startBothDoors(place, env, ...flags);
      await useDoors(second, env);
      await place.sh('secrets agent clear; secrets agent stop', env);
      await second.ended;
      writeFileSync(join(place.cwd, 'second.log'), second.output());
      return shown;
    };
    try {
      const { result, sightings, seen } = await watchProcesses(session, FORMS, (command) =>
        // Between exec and its own end it has what it was given.
        command.startsWith('sh -c kill -9'),
      );
      // It was there to be leaked.
      expect(result.split('c4n4ry')).toHaveLength(4);
      expect([...seen].some((command) => command.includes('agent start'))).toBe(true);
      expect(sightings).toEqual([]);
      const { files, found } = searchDisk(marker, [place.root], FORMS);
      expect(found).toEqual([]);
      // The log, its checkpoints, three logs of ours.
      expect(files).toBeGreaterThan(5);
    } finally {
      rmSync(runtime, { recursive: true });
    }
  }, 240_000);

  test('the search finds it where it is, in each form', () => {
    const folders = ['/dev/shm', '/tmp', place.home].map((folder) =>
      mkdtempSync(join(folder, 'secrets-planted-')),
    );
    try {
      const planted = folders.flatMap((folder) =>
        [...FORMS.entries()].map(([index, form]) => {
          mkdirSync(join(folder, '.hidden'), { recursive: true });
          const path = join(folder, '.hidden', `${index}`);
          // Across the border of two pieces as well.
          writeFileSync(path, `${index === 0 ? 'x'.repeat(16 * 1024 * 1024 - 3) : 'x'}${form}x`);
          return path;
        }),
      );
      const named = join(place.tmp, FORMS[1] ?? '');
      writeFileSync(named, '');
      const { files, found } = searchDisk(marker, [place.root], FORMS);
      expect([...found].toSorted()).toEqual([...planted, named].toSorted());
      expect(files).toBeGreaterThan(planted.length);
    } finally {
      for (const folder of folders) rmSync(folder, { recursive: true });
    }
  }, 60_000);
});
