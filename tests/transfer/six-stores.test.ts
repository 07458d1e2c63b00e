/** All six stores at once: copies between any two of them, and one program with secrets of every one. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWith } from '../backends/server.ts';
import { findBackend } from '../e2e/backends.ts';
import { makePlace, type Place } from '../e2e/program.ts';
import { scenarioFiles as aws } from '../backends/aws.ts';
import { scenarioFiles as azure } from '../backends/azure.ts';
import { scenarioFiles as conjur } from '../backends/conjur.ts';
import { scenarioFiles as gcp } from '../backends/gcp.ts';
import { scenarioFiles as vault } from '../backends/vault.ts';

const STORES = ['local', 'aws', 'azure', 'conjur', 'gcp', 'vault'] as const;
const PAIRS = STORES.flatMap((from) => STORES.filter((to) => to !== from).map((to) => [from, to] as const));

describeWith('six stores', [...aws, ...azure, ...conjur, ...gcp, ...vault], () => {
  let place: Place;
  let folder: string;
  let env: Record<string, string> = {};
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    place = await makePlace();
    folder = mkdtempSync(join(tmpdir(), 'secrets-six-'));
    const authorities: string[] = [];
    for (const store of STORES) {
      const backend = await findBackend(store);
      if (!backend.usable) throw new Error(`${store}: ${backend.why}`);
      const running = await backend.start();
      stops.push(() => running.stop());
      const { NODE_EXTRA_CA_CERTS: ca, ...rest } = running.env;
      if (ca !== undefined) authorities.push(readFileSync(ca, 'utf8'));
      env = { ...env, ...rest };
    }
    const caFile = join(folder, 'authorities.pem');
    writeFileSync(caFile, authorities.join('\n'));
    // Azure's real host names are reached through a proxy; the other servers are on this machine by name.
    env = {
      ...env,
      NODE_EXTRA_CA_CERTS: caFile,
      NO_PROXY: '127.0.0.1,localhost',
      no_proxy: '127.0.0.1,localhost',
    };
    const made = await place.sh(
      `set -e
      printf one | secrets put --quiet local://six-src-a
      printf two | secrets put --quiet local://six-src-a
      printf '{"user":"u","password":"p"}' | secrets put --quiet local://six-src-j
      printf '\\377\\000x' | secrets put --quiet local://six-src-b
      for store in aws azure conjur gcp vault; do
        secrets copy 'local://six-src-*' "$store://six-src-*" --history --quiet
      done`,
      env,
    );
    expect([made.code, made.stderr]).toEqual([0, '']);
  }, 300_000);
  afterAll(async () => {
    await Promise.all(stops.map((stop) => stop()));
    rmSync(folder, { recursive: true, force: true });
    await place.remove();
  });

  test.each(PAIRS)(
    '%s → %s: every value and version arrives, and a second copy changes nothing',
    async (from, to) => {
      const copy = `secrets copy '${from}://six-src-*' '${to}://six-${from}-*' --history --json`;
      const first = await place.sh(`${copy} | jq -c '[.secrets[] | [.action, .versions]]'`, env);
      expect([first.code, first.stderr, first.stdout]).toEqual([
        0,
        '',
        '[["created",2],["created",1],["created",1]]\n',
      ]);
      const again = await place.sh(`${copy} | jq -c '[.secrets[].action]'`, env);
      expect([again.stderr, again.stdout]).toEqual(['', '["same","same","same"]\n']);
      const values = await place.sh(
        `secrets get ${to}://six-${from}-a; echo
      secrets get ${to}://six-${from}-b | od -An -tx1
      secrets get ${to}://six-${from}-j | jq -cS .`,
        env,
      );
      expect([values.stderr, values.stdout]).toEqual(['', 'two\n ff 00 78\n{"password":"p","user":"u"}\n']);
      const difference = await place.sh(
        `secrets diff '${from}://six-src-*' '${to}://six-${from}-*' --exit-code --json | jq -c .`,
        env,
      );
      expect([difference.stderr, difference.stdout]).toEqual(['', '{"same":3,"differences":[]}\n']);
    },
    300_000,
  );

  test('one program gets sixty references of all six', async () => {
    const refs = STORES.flatMap((store) =>
      Array.from({ length: 10 }, (_, index) => {
        const ref = ['a', 'j#user', 'j#password'][index % 3] as string;
        return `-e ${store.toUpperCase()}_${index}=${store}://six-src-${ref}`;
      }),
    );
    expect(refs).toHaveLength(60);
    const names = STORES.map((store) => `$${store.toUpperCase()}_0$${store.toUpperCase()}_1`).join(' ');
    const { code, stdout, stderr } = await place.sh(
      `secrets exec ${refs.join(' ')} -- sh -c 'echo ${names}'`,
      env,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(`${STORES.map(() => 'twou').join(' ')}\n`);
  });

  test('every failure of every store is in one message, and nothing starts', async () => {
    const refs = STORES.flatMap((store) => [
      `-e ${store.toUpperCase()}_GOOD=${store}://six-src-a`,
      `-e ${store.toUpperCase()}_GONE=${store}://six-src-gone`,
      `-e ${store.toUpperCase()}_KEY=${store}://six-src-j#nokey`,
    ]);
    const { code, stdout, stderr } = await place.sh(`secrets exec ${refs.join(' ')} -- echo started`, env);
    expect({ code, stdout }).toEqual({ code: 125, stdout: '' });
    for (const store of STORES) {
      expect(stderr).toContain(`${store}://six-src-gone: `);
      expect(stderr).toContain(`${store}://six-src-j#nokey: has no key nokey`);
    }
    expect(stderr).toContain('12 failures');
  });

  test('a list over all stores streams them one after the other', async () => {
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      `stores:\n${STORES.map((store) => `  my-${store}: { provider: ${store} }`).join('\n')}\n`,
    );
    const mapped = 'sed -i "s/provider: azure }/provider: azure, names: mapped }/" secrets.yaml';
    const { code, stdout, stderr } = await place.sh(
      `${mapped}; secrets list --all-stores | grep '^my-.*://six-src-' | sort`,
      env,
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.trim().split('\n')).toEqual(
      STORES.flatMap((store) => ['a', 'b', 'j'].map((name) => `my-${store}://six-src-${name}`)).toSorted(),
    );
  });
});
