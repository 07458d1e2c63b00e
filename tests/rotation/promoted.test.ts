/** A rotation whose holder died right after the new value became current: it is done, whatever label is left of it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makePlace, type Place } from '../e2e/program.ts';

const KILLER = fileURLToPath(new URL('kill-at.cjs', import.meta.url));

let place: Place;
beforeEach(async () => {
  place = await makePlace();
});
afterEach(() => place.remove());

const json = async (script: string): Promise<unknown> => {
  const { code, stdout, stderr } = await place.sh(script);
  expect([script, code, stderr]).toEqual([script, 0, '']);
  return JSON.parse(stdout);
};

test('neither status nor the report calls it stuck, and the next rotation is not in its way', async () => {
  // A lease that is over at once: what is under way would be stuck.
  const rotation = { lease: '1s', a: { every: '30d', generate: 'alnum:20' } };
  writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
  await place.sh('printf first | secrets put --quiet a; secrets trust --yes');
  const stages = { kept: false, pending: true, labelled: false };
  for (let at = 1; at < 200 && !(stages.kept && stages.labelled && !stages.pending); at += 1) {
    await place.sh('secrets purge --yes a; printf first | secrets put --quiet a');
    await place.sh('secrets rotate a; exit $?', {
      NODE_OPTIONS: `--require=${KILLER}`,
      KILL_AT: `${at} after`,
    });
    stages.kept = (await place.sh('secrets get "a?stage=previous"')).stdout === 'first';
    stages.pending = (await place.sh('secrets get "a?stage=pending"')).code === 0;
    const { stdout } = await place.sh('secrets get --metadata --json a');
    stages.labelled = Object.hasOwn((JSON.parse(stdout) as { labels?: object }).labels ?? {}, 'rotation');
  }
  expect(stages).toEqual({ kept: true, pending: false, labelled: true });

  for (const pause of ['true', 'sleep 1.2']) {
    expect(await json(`${pause}; secrets rotate status --json`)).toMatchObject({
      secrets: [{ reference: 'local://a', state: 'ok' }],
    });
    expect(JSON.stringify(await json('secrets audit report --json local://'))).not.toContain('stuck');
  }
  expect(await json('secrets rotate resume a --json')).toMatchObject({ outcome: 'nothing' });
  expect(await json('secrets rotate a --json')).toMatchObject({ outcome: 'done' });
});
