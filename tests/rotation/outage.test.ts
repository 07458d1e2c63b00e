/**
 * A real Vault and a real PostgreSQL, of which one goes away in the middle of a rotation, or answers too late: at each
 * request that the rotation makes. Afterwards another machine resumes, or rolls back.
 */
import { createServer, connect, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Provider } from '../../src/providers/provider.ts';
import { open as openVault } from '../../src/providers/vault/index.ts';
import { postgres as descriptor } from '../../src/rotation/targets/postgres/descriptor.ts';
import type { Target } from '../../src/rotation/target.ts';
import { POSTGRES_FILES, type Postgres, startPostgres } from '../backends/postgres.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault, type Vault } from '../backends/vault.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../contract/fault-proxy.ts';
import { contextFor } from '../contract/kit.ts';
import { FakeSystem, look, type Manner, MANNERS, type RunOptions, rotateOn, type Seen } from './kit.ts';
import { openTarget } from './targets/kit.ts';

/** Shorter than what is answered late. Where nothing is, a call has all the time that it takes. */
const CALL_MS = 2500;
const LONG = 600_000;
const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
/** Not asked: the target is PostgreSQL. */
const UNUSED = new FakeSystem(MANNERS[0] as Manner, '');

describeWith('an outage in the middle of a rotation', [...vaultFiles, ...POSTGRES_FILES], () => {
  let vault: Vault;
  let database: Postgres;
  let proxy: FaultProxy;
  let owner: Provider;
  let count = 0;
  beforeAll(async () => {
    [vault, database] = await Promise.all([startVault(), startPostgres()]);
    proxy = await startFaultProxy({ url: vault.url });
    owner = through(vault.url);
    await database.sql("CREATE ROLE app LOGIN PASSWORD 'first'");
  });
  afterAll(async () => {
    await owner.close();
    await proxy.stop();
    await Promise.all([vault.stop(), database.stop()]);
  });

  const through = (url: string): Provider =>
    openVault({}, contextFor({ VAULT_ADDR: url, VAULT_TOKEN: vault.token }, '/nonexistent'));
  /** A new secret, for the login with its first password again. */
  const fresh = async (port = database.port): Promise<string> => {
    count += 1;
    await database.sql("ALTER ROLE app PASSWORD 'first'");
    const name = `outage-${count}`;
    const value = { username: 'app', password: 'first', host: '127.0.0.1', port, dbname: 'postgres' };
    await owner.put(name, { value: Buffer.from(JSON.stringify(value)) }, now());
    return name;
  };
  const passwordOf = (held: Seen['current']): string => String(held?.fields?.['password']);
  const works = async (held: Seen['current']): Promise<boolean> =>
    held !== undefined && database.accepts('app', passwordOf(held));
  const target = async (): Promise<Target> => (await openTarget(descriptor, {})).target;
  /** A rotation on a machine of its own, with a connection of its own. */
  const run = async (name: string, url: string, options: RunOptions): Promise<string> => {
    const provider = through(url);
    const outcome = await rotateOn(provider, name, UNUSED, {
      target: await target(),
      callMs: 60_000,
      ...options,
    });
    await provider.close();
    return outcome === 'died' ? outcome : outcome.ending;
  };
  /** What has to hold whatever has happened. @returns how the recovery ended */
  const recovered = async (where: string, name: string, intent: 'resume' | 'rollback'): Promise<string> => {
    const broken = await look(owner, name);
    expect([where, (await works(broken.current)) || (await works(broken.pending))]).toEqual([where, true]);
    const ending = await run(name, vault.url, { intent, takeOver: true });
    const { current, pending, previous } = await look(owner, name);
    expect([where, ending, pending, await works(current)]).toEqual([where, ending, undefined, true]);
    if (ending === 'undone') expect([where, passwordOf(current)]).toEqual([where, 'first']);
    if (ending === 'done') expect([where, passwordOf(previous)]).toEqual([where, 'first']);
    return ending;
  };

  /** How many requests a whole rotation makes. */
  const requests = async (): Promise<number> => {
    const name = await fresh();
    proxy.heal();
    expect(await run(name, proxy.url, {})).toBe('done');
    return proxy.requests.length;
  };

  const FAULTS: readonly (readonly [string, Fault, number])[] = [
    ['goes away', 'reset', Infinity],
    ['does one thing more, answers too late, and is away', 'stall', Infinity],
    ['loses one answer', 'lost', 1],
    ['answers once after the deadline', 'stall', 1],
  ];
  test.each(FAULTS)(
    'the store %s, after each request',
    async (_title, fault, times) => {
      const total = await requests();
      expect(total).toBeGreaterThan(10);
      const seen = new Set<string>();
      // Waiting for a deadline takes long: every other request will do.
      const step = fault === 'stall' ? 2 : 1;
      for (let skip = 0; skip < total; skip += step) {
        const where = `after ${skip} requests`;
        const name = await fresh();
        proxy.heal();
        proxy.fault(fault, { skip, times });
        const ending = await run(name, proxy.url, fault === 'stall' ? { callMs: CALL_MS } : {});
        proxy.heal();
        expect([where, ['done', 'stuck', 'unchanged', 'undone', 'held', 'lost']]).toEqual([
          where,
          expect.arrayContaining([ending]),
        ]);
        seen.add(
          `${ending}, then ${await recovered(where, name, (skip / step) % 2 === 0 ? 'resume' : 'rollback')}`,
        );
      }
      expect([...seen]).toEqual(
        expect.arrayContaining(
          times === 1
            ? ['done, then nothing']
            : ['unchanged, then nothing', 'stuck, then done', 'stuck, then undone', 'done, then nothing'],
        ),
      );
    },
    LONG,
  );

  describe('of the database', () => {
    let wire: Server;
    let port = 0;
    const sockets = new Set<Socket>();
    /** What becomes of the answers to what holds these bytes. */
    let trouble: { readonly marker: string; readonly how: 'lost' | 'late' } | undefined;
    beforeAll(async () => {
      wire = createServer((client) => {
        const upstream = connect(database.port, '127.0.0.1');
        let silent = false;
        for (const socket of [client, upstream]) {
          sockets.add(socket);
          socket.on('error', () => undefined);
        }
        client.on('data', (chunk: Buffer) => {
          upstream.write(chunk);
          if (trouble === undefined || !chunk.includes(trouble.marker)) return;
          silent = true;
          if (trouble.how === 'lost') upstream.once('data', () => client.destroy());
          else setTimeout(() => client.destroy(), CALL_MS * 3);
          trouble = undefined;
        });
        upstream.on('data', (chunk: Buffer) => {
          if (!silent) client.write(chunk);
        });
        client.on('close', () => upstream.destroy());
        upstream.on('close', () => client.destroy());
      });
      await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
      ({ port } = wire.address() as AddressInfo);
    });
    afterAll(async () => {
      const closed = new Promise((resolve) => wire.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    });

    test.each(['lost', 'late'] as const)('an answer that is %s is found out at once', async (how) => {
      const name = await fresh(port);
      trouble = { marker: 'ALTER ROLE', how };
      expect(await run(name, vault.url, how === 'late' ? { callMs: CALL_MS } : {})).toBe('done');
      expect(trouble).toBeUndefined();
      expect(await recovered(how, name, 'resume')).toBe('nothing');
    });

    test(
      'a server that ends in the middle and comes back is waited for',
      async () => {
        for (const intent of ['resume', 'rollback'] as const)
          for (const call of ['apply', 'verify'] as const) {
            const name = await fresh();
            const real = await target();
            const dying = new Proxy(real, {
              get: (object, key) => {
                const found: unknown = Reflect.get(object, key);
                if (typeof found !== 'function') return found;
                return async (...all: unknown[]) => {
                  if (key === call) await database.halt();
                  return (found as (...all: unknown[]) => unknown).apply(object, all);
                };
              },
            });
            expect([call, await run(name, vault.url, { target: dying })]).toEqual([call, 'stuck']);
            await database.resume();
            expect(await recovered(`${call}, ${intent}`, name, intent)).toBe(
              intent === 'resume' ? 'done' : 'undone',
            );
          }
      },
      LONG,
    );
  });
});
