/**
 * Changes that come late: held by a lock of another session, by a standby that is away, by a proxy, or by a holder that
 * was stopped. Against real databases, with the store and both machines in this process, so that each moment is forced.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLocal } from '../../src/providers/local/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import type { Outcome } from '../../src/rotation/run.ts';
import type { Database } from '../backends/database.ts';
import { describeWith } from '../backends/server.ts';
import { contextFor, now } from '../contract/kit.ts';
import { look, Pause, rotateOn, type RunOptions } from './kit.ts';
import { type DatabaseKind, MARIADB, MYSQL, POSTGRESQL, POSTGRESQL_18 } from './targets/databases.ts';
import { sized, startOf } from '../size.ts';
import { openTarget } from './targets/kit.ts';
import { startWire, type Wire } from './targets/wire.ts';

const LONG = 120_000;
/** Bounds in the server are a quarter of it: a second, the smallest that MySQL has. */
const LEASE_MS = 4000;
const USER = 'moody';

/** Parts of what is sent while a change is made, in this order. */
const SENT: Readonly<Record<string, readonly string[]>> = {
  postgres: ['BEGIN READ WRITE', 'pg_try_advisory_xact_lock', 'ALTER ROLE'],
  mysql: ['SET SESSION wait_timeout', 'GET_LOCK', 'ALTER USER'],
};

for (const kind of [POSTGRESQL, POSTGRESQL_18, MARIADB, MYSQL])
  describeWith(`changes of ${kind.title} that come late`, kind.files, () => scenes(kind), kind.optional);

function scenes(kind: DatabaseKind): void {
  const { database, descriptor } = kind;
  let server: Database;
  let wire: Wire;
  let store: Provider;
  let count = 0;
  beforeAll(async () => {
    server = await kind.start();
    await server.sql(kind.user(USER, 'first'), ...kind.administrator('rotator-1', [USER]));
    wire = await startWire(server.port);
    const home = mkdtempSync(join(tmpdir(), 'secrets-late-'));
    store = openLocal({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, home));
  }, LONG);
  afterAll(async () => {
    await store?.close();
    await wire?.stop();
    await server?.stop();
  });

  /** Passwords of MySQL's are sent encrypted with it, where there is no TLS. */
  const serverKey = () => (server.serverKey === undefined ? {} : { 'server-key': server.serverKey });
  interface Machine {
    readonly name: string;
    run(options?: RunOptions): Promise<Outcome>;
  }
  /** A secret whose user changes its own password, or has it changed by an administrator. */
  const fresh = async (admin: boolean): Promise<Machine> => {
    count += 1;
    const name = `late-${count}`;
    await server.sql(kind.set(USER, 'first'));
    const place = {
      host: '127.0.0.1',
      port: wire.port,
      ...(database !== undefined && { dbname: database }),
    };
    const value = { username: USER, password: 'first', ...place };
    await store.put(name, { value: Buffer.from(JSON.stringify(value)) }, now());
    const rotator = { username: 'rotator', password: 'rotator-1', ...place };
    const settings = {
      ...serverKey(),
      ...(admin && { admin: 'ops://admin', host: place.host, port: place.port, username: USER }),
      ...(admin && database !== undefined && { database }),
    };
    const secret = { value: Buffer.from(JSON.stringify(rotator)), fields: rotator };
    const { target } = await openTarget(descriptor, settings, { 'ops://admin': secret });
    const run = async (options: RunOptions = {}): Promise<Outcome> => {
      const outcome = await rotateOn(
        store,
        name,
        { target: () => target },
        { leaseMs: LEASE_MS, ...options },
      );
      if (outcome === 'died') throw new Error('nobody was to die');
      return outcome;
    };
    return { name, run };
  };
  /**
   * A run whose call is given up as soon as what it sends is kept back. Neither its own time for a call nor the bounds in
   * the server, which a slow machine may come to before that, have a part in it.
   */
  const runLate = async (run: Machine['run'], marker: string) => {
    const { kept, deliver } = wire.delay(marker);
    let call = new AbortController();
    const givenUp = kept.then(() => {
      const ended = call;
      call = new AbortController();
      ended.abort();
      return 'given up' as const;
    });
    const outcome = await run({
      boundMs: 20_000,
      signal: () => AbortSignal.any([AbortSignal.timeout(30_000), call.signal]),
    });
    expect(await Promise.race([givenUp, Promise.resolve(outcome.ending)])).toBe('given up');
    return { outcome, deliver };
  };
  const passwords = async (name: string) => {
    const { current, pending } = await look(store, name);
    return [current?.fields?.['password'], pending?.fields?.['password']] as (string | undefined)[];
  };
  /** What works is readable: as current, or, while nothing is said to be over, as pending. */
  const expectReadable = async (name: string): Promise<void> => {
    const works = [];
    for (const password of await passwords(name))
      works.push(password !== undefined && (await server.accepts(USER, password)));
    expect(works).toContain(true);
  };
  const expectUndone = async (name: string): Promise<void> => {
    expect(await passwords(name)).toEqual(['first', undefined]);
    expect(await server.accepts(USER, 'first')).toBe(true);
  };

  describe.each([
    ['itself', false],
    ['an administrator', true],
  ])('made by %s', (_by, admin) => {
    test(
      'a lock of another session ends the statement within its bound, and the rotation is undone',
      async () => {
        const { name, run } = await fresh(admin);
        const release = await kind.hold(server);
        let outcome: Outcome;
        try {
          outcome = await run();
          // Nothing could be set, not even the old one; what is pending is left as it is, or nothing is.
          await expectReadable(name);
        } finally {
          await release();
        }
        await expectReadable(name);
        if (outcome.ending !== 'undone') await run({ intent: 'rollback', takeOver: true });
        await expectUndone(name);
      },
      LONG,
    );

    test.each((SENT[descriptor.type] ?? []).map((marker) => [marker]))(
      'a proxy that delivers “%s” after the rollback changes nothing any more',
      async (sent) => {
        // MariaDB has another statement for oneself.
        const marker = sent === 'ALTER USER' && kind === MARIADB && !admin ? 'SET PASSWORD' : sent;
        const { name, run } = await fresh(admin);
        const { outcome, deliver } = await runLate(run, marker);
        expect(['stuck', 'undone']).toContain(outcome.ending);
        const rolledBack = await run({ intent: 'rollback', takeOver: true });
        expect(['undone', 'nothing']).toContain(rolledBack.ending);
        await deliver();
        await expectUndone(name);
        // The same, and it is finished instead.
        const again = await fresh(admin);
        const later = await runLate(again.run, marker);
        await again.run({ intent: 'resume', takeOver: true });
        await later.deliver();
        await expectReadable(again.name);
        expect((await passwords(again.name))[1]).toBeUndefined();
      },
      LONG,
    );

    test('nothing is shown twice: signs in to look, once with a wrong password, to change, and to verify', async () => {
      const { run } = await fresh(admin);
      const before = wire.connections();
      expect(await run()).toMatchObject({ ending: 'done' });
      // The sign-in that looks, and the administrator's; the wrong one; the change; the new one, and another wrong one.
      expect(wire.connections() - before).toBe(admin ? 6 : 5);
    });

    test(
      'a holder that was stopped at any of its calls, and wakes after it was taken over, touches nothing',
      async () => {
        for (let at = 1 + startOf(3); ; at += sized(3, 1)) {
          const { name, run } = await fresh(admin);
          const pause = new Pause(at);
          const first = rotateOn(pause.of(store), name, await targetOf(admin), { leaseMs: LEASE_MS });
          if ((await Promise.race([pause.reached, first])) !== 'paused') {
            // It came to its end before there were so many calls.
            expect(at).toBeGreaterThan(6);
            break;
          }
          const second = await run({ intent: 'rollback', takeOver: true });
          const before = await passwords(name);
          pause.release();
          const woken = await first;
          // Where it had begun, it has lost; where it had not, it begins; where it was done, it is done.
          if (second.ending === 'undone') {
            expect([at, await passwords(name)]).toEqual([at, before]);
            expect([at, (woken as Outcome).ending]).toEqual([at, expect.stringMatching(/lost|stuck|held/)]);
            await expectUndone(name);
          }
          await expectReadable(name);
        }
      },
      LONG,
    );
  });

  const targetOf = async (admin: boolean) => {
    const place = { host: '127.0.0.1', port: wire.port };
    const rotator = { username: 'rotator', password: 'rotator-1', ...place };
    const { target } = await openTarget(
      descriptor,
      {
        ...serverKey(),
        ...(admin && { admin: 'ops://admin', ...place, username: USER }),
        ...(admin && database !== undefined && { database }),
      },
      { 'ops://admin': { value: Buffer.from(JSON.stringify(rotator)), fields: rotator } },
    );
    return { target: () => target };
  };

  if (descriptor.type === 'postgres')
    test(
      'a synchronous standby that is away holds up no change, so that none comes when it is back',
      async () => {
        const { name, run } = await fresh(false);
        await server.sql("ALTER SYSTEM SET synchronous_standby_names = 'away'", 'SELECT pg_reload_conf()');
        try {
          expect(await run()).toMatchObject({ ending: 'done' });
          await expectReadable(name);
          const [current = ''] = await passwords(name);
          expect(await server.accepts(USER, current)).toBe(true);
        } finally {
          await server.sql('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
        }
        expect(await server.accepts(USER, (await passwords(name))[0] ?? '')).toBe(true);
      },
      LONG,
    );
}
