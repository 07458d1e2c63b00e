/** Servers with rules for new passwords: which of them stand in a rotation's way, and when that is said. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLocal } from '../../../src/providers/local/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { Outcome } from '../../../src/rotation/run.ts';
import { createConnection } from 'mysql2';
import { mysql } from '../../../src/rotation/targets/mysql/descriptor.ts';
import { reuseFindings } from '../../../src/rotation/targets/mysql/rules.ts';
import type { Database } from '../../backends/database.ts';
import { MARIADB_REUSE } from '../../backends/mariadb.ts';
import { describeWith } from '../../backends/server.ts';
import { contextFor, now } from '../../contract/kit.ts';
import { Death, look, rotateOn, type RunOptions } from '../kit.ts';
import { type DatabaseKind, MARIADB, MYSQL } from './databases.ts';
import { credential, openTarget } from './kit.ts';

const ADMIN = 'ops://admin';
/** As long as a rule may want it. */
const FIRST = 'the-first-of-all-1';
const LONG = 240_000;

function scenes(kind: DatabaseKind, tests: (bench: Bench) => void): void {
  const bench = new Bench(kind);
  beforeAll(() => bench.start(), LONG);
  afterAll(() => bench.stop());
  tests(bench);
}

class Bench {
  readonly #kind: DatabaseKind;
  server!: Database;
  #store!: Provider;
  #count = 0;

  constructor(kind: DatabaseKind) {
    this.#kind = kind;
  }

  async start(): Promise<void> {
    this.server = await this.#kind.start();
    await this.server.sql(...this.#kind.administrator('rotator-1', []));
    const home = mkdtempSync(join(tmpdir(), 'secrets-reuse-'));
    this.#store = openLocal({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, home));
  }

  async stop(): Promise<void> {
    await this.#store?.close();
    await this.server?.stop();
  }

  /** A user and its secret. @param rule of the account */
  async fresh(admin: boolean, rule = '') {
    this.#count += 1;
    const [name, username] = [`reuse-${this.#count}`, `user${this.#count}`];
    await this.server.sql(`CREATE USER ${username}@'%' IDENTIFIED BY '${FIRST}' ${rule}`);
    const place = { host: '127.0.0.1', port: this.server.port };
    const value = Buffer.from(JSON.stringify({ username, password: FIRST, ...place }));
    await this.#store.put(name, { value }, now());
    const key = this.server.serverKey === undefined ? {} : { 'server-key': this.server.serverKey };
    const settings = admin ? { ...key, admin: ADMIN, username, ...place } : key;
    const rotator = credential({ username: 'rotator', password: 'rotator-1', ...place });
    const { target } = await openTarget(mysql, settings, { [ADMIN]: rotator });
    const said: string[] = [];
    const run = async (options: RunOptions = {}): Promise<Outcome | 'died'> => {
      said.length = 0;
      return rotateOn(
        this.#store,
        name,
        { target: () => target },
        { warn: (line) => said.push(line), ...options },
      );
    };
    const passwords = async () => {
      const { current, pending } = await look(this.#store, name);
      return [current?.fields?.['password'], pending?.fields?.['password']] as (string | undefined)[];
    };
    const accepts = (word: string | undefined) => this.server.accepts(username, word ?? '');
    return { run, said, passwords, accepts, target, current: (await look(this.#store, name)).current };
  }
}

describeWith(
  'a server that keeps a history of passwords',
  MYSQL.files,
  () =>
    scenes(MYSQL, (bench) => {
      describe.each([
        ['itself', false],
        ['an administrator', true],
      ])('changed by %s', (_by, admin) => {
        const RULE = 'PASSWORD HISTORY 3';
        const WARNING = expect.stringMatching(
          /^way back: the server refuses a password that the account had before \(password history 3\)/,
        );

        test('the plan and the run say that there is no way back', async () => {
          // An administrator without a look at the accounts knows the server's own rule alone.
          if (admin) await bench.server.sql('SET GLOBAL password_history = 3');
          try {
            const { run, said, target, current } = await bench.fresh(admin, admin ? '' : RULE);
            expect(
              await target.check(
                { current, pending: undefined, previous: undefined },
                AbortSignal.timeout(20_000),
              ),
            ).toContainEqual(expect.objectContaining({ check: 'way back', status: 'warn' }));
            let warnedBefore = false;
            const record = ({ step }: { step: string }) => {
              if (step === 'claim') warnedBefore ||= said.some((line) => line.startsWith('way back'));
            };
            expect(await run({ record })).toMatchObject({ ending: 'done' });
            expect([warnedBefore, said]).toEqual([true, [WARNING]]);
          } finally {
            await bench.server.sql('SET GLOBAL password_history = 0');
          }
        });

        test('whoever died before the change is rolled back; after it, a rollback says to resume, and loses nothing', async () => {
          const died = async (when: 'before' | 'after') => {
            const one = await bench.fresh(admin, RULE);
            const death = new Death(Number.MAX_SAFE_INTEGER, 'before');
            const { target } = one;
            const apply = async (...args: Parameters<typeof target.apply>): Promise<never> => {
              if (when === 'after') await target.apply(...args);
              return death.now();
            };
            const mortal = new Proxy(target, {
              get: (object, name) => {
                if (name === 'apply') return apply;
                const found: unknown = Reflect.get(object, name);
                return typeof found === 'function' ? found.bind(object) : found;
              },
            });
            expect(await one.run({ target: mortal, death })).toBe('died');
            return one;
          };

          const before = await died('before');
          expect(await before.run({ intent: 'rollback', takeOver: true })).toMatchObject({
            ending: 'undone',
          });
          expect(await before.passwords()).toEqual([FIRST, undefined]);
          expect(await before.accepts(FIRST)).toBe(true);

          const after = await died('after');
          const [, issued] = await after.passwords();
          expect(await after.run({ intent: 'rollback', takeOver: true })).toMatchObject({
            ending: 'stuck',
            error: {
              kind: 'Invalid',
              message: expect.stringMatching(/^the database refuses a password that user\d+ had before$/),
            },
            todo: expect.stringMatching(
              /^the target can’t be set back: secrets rotate resume tested:\/\/reuse-\d+ finishes it$/,
            ),
          });
          expect(await after.passwords()).toEqual([FIRST, issued]);
          expect(await after.accepts(issued)).toBe(true);
          expect(await after.run({ intent: 'resume' })).toMatchObject({ ending: 'done' });
          expect(await after.passwords()).toEqual([issued, undefined]);
          expect(await after.accepts(issued)).toBe(true);
        });
      });

      test('a history of the password in use alone leaves the way back', async () => {
        const { run, said, passwords, accepts } = await bench.fresh(false, 'PASSWORD HISTORY 1');
        expect(await run()).toMatchObject({ ending: 'done' });
        expect(await run({ toPrevious: true })).toMatchObject({ ending: 'done' });
        expect(said).toEqual([]);
        expect(await passwords()).toEqual([FIRST, undefined]);
        expect(await accepts(FIRST)).toBe(true);
      });

      test('days within which no password may come again are a rule too', async () => {
        const { run, said } = await bench.fresh(false, 'PASSWORD REUSE INTERVAL 2 DAY');
        await run();
        expect(await run({ toPrevious: true })).toMatchObject({
          ending: 'undone',
          todo: expect.stringMatching(/^secrets rotate tested:\/\/reuse-\d+ makes another value$/),
        });
        await run();
        expect(said).toEqual([expect.stringContaining('(reuse interval 2 days)')]);
      });
    }),
  true,
);

describeWith(
  'a server whose plugin looks at new passwords',
  [...MARIADB.files, MARIADB_REUSE],
  () =>
    scenes(MARIADB, (bench) => {
      beforeAll(() => bench.server.sql("INSTALL SONAME 'password_reuse_check'"));

      test('has no history that an older server lacks as well, and that is no error', async () => {
        const { port, admin } = bench.server;
        const { username: user, password } = admin;
        const client = createConnection({ host: '127.0.0.1', port, user, password });
        const session = {
          client,
          password,
          cut: () => client.destroy(),
          signal: AbortSignal.timeout(20_000),
        };
        try {
          const findings = reuseFindings(
            { ...session, accountHost: undefined, hostIsNamed: false, secure: false },
            undefined,
          );
          expect(await findings).toEqual([]);
        } finally {
          client.destroy();
        }
      });

      test.each([
        ['itself', false],
        ['an administrator', true],
      ])(
        'is not sent one in clear text: refused before anything is stored, changed by %s',
        async (_by, admin) => {
          const { run, passwords, accepts } = await bench.fresh(admin);
          expect(await run()).toMatchObject({
            ending: 'unchanged',
            error: {
              kind: 'Unsupported',
              message: expect.stringMatching(
                /the server accepts no password hash, because password_reuse_check checks passwords in clear text$/,
              ),
              hint: expect.stringContaining('strict_password_validation = OFF'),
            },
          });
          expect(await passwords()).toEqual([FIRST, undefined]);
          expect(await accepts(FIRST)).toBe(true);
          await bench.server.sql('SET GLOBAL strict_password_validation = OFF');
          try {
            expect(await run()).toMatchObject({ ending: 'done' });
            expect(await run({ toPrevious: true })).toMatchObject({ ending: 'done' });
          } finally {
            await bench.server.sql('SET GLOBAL strict_password_validation = ON');
          }
          expect(await accepts(FIRST)).toBe(true);
        },
      );
    }),
  true,
);
