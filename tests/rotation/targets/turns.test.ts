/**
 * What two users in turns are for: clients that read the secret from its store and sign in, all the time, through
 * fifty rotations by the engine, without one refused login.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLocal } from '../../../src/providers/local/index.ts';
import { openGenerator } from '../../../src/rotation/generators/index.ts';
import type { TargetDescriptor } from '../../../src/rotation/target.ts';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { postgres } from '../../../src/rotation/targets/postgres/descriptor.ts';
import { MARIADB_FILES, startMariadb } from '../../backends/mariadb.ts';
import { POSTGRES_FILES, startPostgres } from '../../backends/postgres.ts';
import { describeWith } from '../../backends/server.ts';
import { contextFor } from '../../contract/suite.ts';
import { FakeSystem, look, MANNERS, rotateOn } from '../kit.ts';
import { credential, never, openTarget, startApplication, text } from './kit.ts';

const ROTATIONS = 50;

async function turns(
  descriptor: TargetDescriptor,
  port: number,
  accepts: (username: string, password: string) => Promise<boolean>,
): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'secrets-turns-'));
  const provider = openLocal({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, home));
  const place = { host: '127.0.0.1', port, ...(descriptor === postgres && { dbname: 'postgres' }) };
  const admin = credential({ ...place, username: 'rotator', password: 'rotator-1' });
  const settings = { admin: 'ops://admin', users: ['app_a', 'app_b'] };
  const { target } = await openTarget(descriptor, settings, { 'ops://admin': admin });
  const first = credential({ ...place, username: 'app_a', password: 'first' });
  await provider.put('app', { value: first.value }, { signal: never });
  const read = async () => {
    const { current } = await look(provider, 'app');
    if (current === undefined) throw new Error('there is no current version');
    return current;
  };
  const application = startApplication(3, read, accepts);
  const used = new Set<string>();
  const unused = new FakeSystem(MANNERS[0] as (typeof MANNERS)[0], '');
  try {
    for (let round = 0; round < ROTATIONS; round += 1) {
      const outcome = await rotateOn(provider, 'app', unused, {
        target,
        generator: openGenerator('ascii:32'),
      });
      expect(outcome).toMatchObject({ ending: 'done', error: undefined });
      const { current, previous, pending } = await look(provider, 'app');
      if (current === undefined || previous === undefined) throw new Error('a version is missing');
      expect(pending).toBeUndefined();
      expect(current.fields?.['username']).toBe(round % 2 === 0 ? 'app_b' : 'app_a');
      used.add(text(current));
      await application.graceTime();
      await target.retire?.(previous, current, 'expired', never);
      expect(await target.verify(previous, never)).toBe('refused');
    }
  } finally {
    await application.stop();
    await provider.close();
    rmSync(home, { recursive: true, force: true });
  }
  expect(used.size).toBe(ROTATIONS);
  expect(application.logins.tried).toBeGreaterThan(3 * ROTATIONS);
  expect(application.logins.refused).toBe(0);
}

describeWith('PostgreSQL', POSTGRES_FILES, () => {
  test('two users in turns: no login is refused through 50 rotations', async () => {
    const server = await startPostgres();
    try {
      await server.sql(`CREATE ROLE rotator LOGIN CREATEROLE PASSWORD 'rotator-1';
        CREATE ROLE app_a LOGIN PASSWORD 'first'; CREATE ROLE app_b LOGIN`);
      await turns(postgres, server.port, server.accepts);
    } finally {
      await server.stop();
    }
  }, 600_000);
});

describeWith('MariaDB', MARIADB_FILES, () => {
  test('two users in turns: no login is refused through 50 rotations', async () => {
    const server = await startMariadb();
    try {
      await server.sql(
        "CREATE USER rotator@'%' IDENTIFIED BY 'rotator-1'",
        "GRANT CREATE USER ON *.* TO rotator@'%'",
        "CREATE USER app_a@'%' IDENTIFIED BY 'first'",
        "CREATE USER app_b@'%' IDENTIFIED BY 'unknown'",
      );
      await turns(mysql, server.port, server.accepts);
    } finally {
      await server.stop();
    }
  }, 600_000);
});
