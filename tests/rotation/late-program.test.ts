/** The built program, killed or stopped while its change waits in a real PostgreSQL, and taken over from another HOME. */
import { cp, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Database } from '../backends/database.ts';
import type { Postgres } from '../backends/postgres.ts';
import { describeWith } from '../backends/server.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';
import { sized, startOf } from '../size.ts';
import { POSTGRESQL } from './targets/databases.ts';

const KILLER = join(process.cwd(), 'tests/rotation/kill-at.cjs');
const LONG = 240_000;

describeWith('a change that outlives its sender', POSTGRESQL.files, () => {
  let server: Database;
  let first: Place;
  let second: Place;
  beforeAll(async () => {
    server = await POSTGRESQL.start();
    await server.sql(POSTGRESQL.user('moody', 'first'));
    [first, second] = [await makePlace(), await makePlace()];
    const policy = {
      rotation: {
        lease: '4s',
        'local://db': { every: '30d', keys: ['password'], target: { type: 'postgres' } },
      },
    };
    for (const place of [first, second])
      await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify(policy));
    await put();
    await cp(join(first.home, '.config'), join(second.home, '.config'), { recursive: true });
  }, LONG);
  afterAll(async () => {
    await first?.remove();
    await second?.remove();
    await server?.stop();
  });

  const env = () => ({
    SECRETS_LOCAL_KEY_METHOD: 'key-file',
    SECRETS_LOCAL_PATH: join(first.root, 'store'),
  });
  const run = (place: Place, line: string): Promise<Outcome> => place.sh(`${line}; exit $?`, env());
  const put = async (): Promise<void> => {
    await server.sql(POSTGRESQL.set('moody', 'first'));
    const place = { host: '127.0.0.1', port: server.port, dbname: 'postgres' };
    const value = JSON.stringify({ username: 'moody', password: 'first', ...place });
    expect(await run(first, `secrets put --quiet db <<< '${value}'`)).toMatchObject({ code: 0 });
  };
  const works = async (stage: string): Promise<boolean> => {
    const { code, stdout } = await run(first, `secrets get 'db?stage=${stage}#password'`);
    return code === 0 && server.accepts('moody', stdout.trim());
  };
  const start = (more: Readonly<Record<string, string>>) => {
    const child = spawn(join(first.root, 'bin/secrets'), ['rotate', 'db', '--trust', '--quiet'], {
      cwd: first.cwd,
      env: { ...first.env, ...env(), ...more },
      stdio: 'ignore',
    });
    const ended = new Promise<number>((resolve) =>
      child.once('close', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? 137 : -1))),
    );
    return { child, ended };
  };

  test(
    'killed while ALTER ROLE waits for a lock: the old password stays, or the new one is readable',
    async () => {
      const release = await POSTGRESQL.hold(server);
      const { child, ended } = start({});
      while (!server.log().includes('ALTER ROLE "moody" PASSWORD \'SCRAM'))
        await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill('SIGKILL');
      expect(await ended).toBe(137);
      // Nobody can set anything while the lock is held: it is said, and what is pending is kept.
      const blocked = await run(second, 'secrets rotate rollback db --trust');
      expect(blocked).toMatchObject({ code: 6, stderr: expect.stringContaining('locked for too long') });
      await release();
      expect([await works('current'), await works('pending')]).toContain(true);
      expect(await run(second, 'secrets rotate rollback db --trust --take-over')).toMatchObject({ code: 0 });
      expect(await works('current')).toBe(true);
      // With nothing left to do it says so; with a value that the target refuses that is a failure.
      expect(await run(second, 'secrets rotate rollback db --trust')).toMatchObject({ code: 0 });
      await server.sql(POSTGRESQL.set('moody', 'by hand'));
      for (const verb of ['resume', 'rollback'])
        expect(await run(second, `secrets rotate ${verb} db --trust`)).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('the target refuses the current value'),
        });
    },
    LONG,
  );

  /** While a synchronous standby is away, for which every other session's commit waits for. */
  const withoutStandby = async (scene: () => Promise<void>): Promise<void> => {
    await server.sql("ALTER SYSTEM SET synchronous_standby_names = 'away'", 'SELECT pg_reload_conf()');
    try {
      await scene();
    } finally {
      await server.sql('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
    }
  };
  const outcomeOf = async (line: string): Promise<unknown> => {
    const { code, stdout } = await run(second, `secrets rotate ${line} db --trust --json`);
    return [code, (JSON.parse(stdout) as { outcome: string }).outcome];
  };

  test(
    'with a synchronous standby away, a rotation and its ends neither wait for it nor lose anything',
    async () => {
      await put();
      await withoutStandby(async () => {
        expect(await outcomeOf('')).toEqual([0, 'done']);
        expect(await works('current')).toBe(true);
        for (const verb of ['resume', 'rollback']) expect(await outcomeOf(verb)).toEqual([0, 'nothing']);
        let verb = 'rollback';
        for (let at = 4 + startOf(8); ; at += sized(12, 5, 1)) {
          verb = verb === 'resume' ? 'rollback' : 'resume';
          const { ended } = start({ NODE_OPTIONS: `--require=${KILLER}`, KILL_AT: `${at} after` });
          if ((await ended) === 0) {
            expect(at).toBeGreaterThan(16);
            break;
          }
          const kept = (await works('current')) || (await works('pending'));
          const [code] = (await outcomeOf(`${verb} --take-over`)) as [number];
          expect([at, verb, kept, code]).toEqual([at, verb, true, 0]);
          expect([at, verb, await works('current'), await works('pending')]).toEqual([at, verb, true, false]);
        }
      });
      // Nothing comes after all when it is back.
      expect(await works('current')).toBe(true);
      expect(await outcomeOf('rollback')).toEqual([0, 'nothing']);
    },
    LONG,
  );

  test(
    'behind another session’s change that waits for the standby nothing is changed, and that one is told',
    async () => {
      await put();
      let other: Promise<void> | undefined;
      await withoutStandby(async () => {
        other = server.sql(POSTGRESQL.set('moody', 'by hand'));
        // It holds the role until the standby is back, and shows nobody what it has set.
        const waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while ((await (server as Postgres).column(waits)).length === 0)
          await new Promise((resolve) => setTimeout(resolve, 20));
        const blocked = await run(second, 'secrets rotate db --trust');
        expect(blocked).toMatchObject({ code: 1, stderr: expect.stringContaining('locked for too long') });
        expect([await works('current'), await works('pending')]).toEqual([true, false]);
      });
      await other;
      const history = await run(first, 'secrets history db');
      for (const verb of ['resume', 'rollback'])
        expect(await run(second, `secrets rotate ${verb} db --trust`)).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('the target refuses the current value'),
        });
      expect(await run(second, 'secrets rotate db --trust')).toMatchObject({ code: 4 });
      expect(await run(first, 'secrets history db')).toEqual(history);
    },
    LONG,
  );

  test(
    'stopped at any of its writes and woken after it was taken over, it changes nothing',
    async () => {
      for (let at = 2 + startOf(8); ; at += sized(16, 8)) {
        await put();
        const { child, ended } = start({
          NODE_OPTIONS: `--require=${KILLER}`,
          KILL_AT: `${at} before`,
          KILL_SIGNAL: 'SIGSTOP',
        });
        const stopped = async (): Promise<boolean> => {
          const { stdout } = await first.sh(`ps -o stat= -p ${child.pid}`);
          return stdout.startsWith('T');
        };
        let asleep = await stopped();
        while (!asleep && child.exitCode === null) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          asleep = await stopped();
        }
        if (!asleep) {
          expect([await ended, at > 10]).toEqual([0, true]);
          break;
        }
        const undone = await run(second, 'secrets rotate rollback db --trust --take-over');
        const current = await run(first, 'secrets get db');
        child.kill('SIGCONT');
        await ended;
        expect([at, undone.code]).toEqual([at, expect.any(Number)]);
        // Where it was stopped before its claim, or after its promotion, it goes on as if nothing had been.
        if (undone.stderr === '' && undone.code === 0) expect(await works('current')).toBe(true);
        expect([at, await works('current'), current.code]).toEqual([at, true, 0]);
      }
    },
    LONG,
  );
});
