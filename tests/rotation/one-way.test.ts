/**
 * Systems that take no value twice: a rotation that stopped there can't go every way, so what is printed names the one that
 * works, and each test does what it was told.
 */
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { makePlace, type Place } from '../e2e/program.ts';

const LONG = 120_000;

/** Has one key, and refuses to be given one that it had or has. */
class OneWay {
  key = 'first';
  readonly had = new Set(['first']);
  /** A check of the key that is in use fails, unless it is this one. */
  blindBut: string | undefined;
  #server: Server | undefined;
  url = '';

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        if (request.method === 'POST') {
          const fails = this.blindBut !== undefined && body !== this.blindBut;
          response.writeHead(body !== this.key ? 401 : fails ? 503 : 204).end();
          return;
        }
        const repeated = this.had.has(body);
        if (!repeated) this.key = body;
        this.had.add(body);
        response.writeHead(repeated ? 422 : 204).end();
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    this.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
  }
}

/** Sends the value that it reads; says it, too, as careless hooks do. An end of 10 is that of a refused check alone. */
const HOOK = `
let body = '';
for await (const chunk of process.stdin) body += chunk;
const { event, new: { value } } = JSON.parse(body);
const method = event === 'apply' ? 'PUT' : 'POST';
const { status } = await fetch(process.argv[2], { method, body: value });
const fine = [204, ...process.argv.slice(3).map(Number)];
if (!fine.includes(status)) console.error('no, not ' + value);
process.exitCode = fine.includes(status) ? 0 : status === 401 ? 10 : 3;
`;

let place: Place;
let system: OneWay;
beforeEach(async () => {
  [place, system] = [await makePlace(), new OneWay()];
  await system.start();
  writeFileSync(join(place.cwd, 'hook.mjs'), HOOK);
});
afterEach(async () => {
  await system.stop();
  await place.remove();
});

const REF = 'local://a';
const RESUME = `secrets rotate resume ${REF}`;
const ROLLBACK = `secrets rotate rollback ${REF}`;
const LET = 'let its apply succeed then';

/** @param taken statuses that count as a success besides */
const TARGETS: readonly (readonly [string, (taken: readonly number[]) => object])[] = [
  [
    'http',
    (taken) => ({
      type: 'http',
      // A string in JSON is in quotes; a place in the URL is not.
      apply: { method: 'PUT', url: `${system.url}/`, body: '{{new}}', ok: [204, ...taken] },
      verify: { method: 'POST', url: `${system.url}/`, body: '{{new}}' },
    }),
  ],
  [
    'program',
    (taken) => {
      const hook = [process.execPath, './hook.mjs', system.url];
      return { type: 'program', apply: [...hook, ...taken.map(String)], verify: hook };
    },
  ],
];

describe.each(TARGETS)('a %s target that takes no value twice', (type, targetOf) => {
  // JSON strings are what the http target sends: the same bytes are what the hook is given.
  const whole = (key: string): string => (type === 'http' ? JSON.stringify(key) : key);
  const policy = (...taken: number[]): void =>
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      JSON.stringify({
        rotation: { [REF]: { every: '30d', grace: '1h', target: targetOf(taken) } },
      }),
    );
  const run = async (line: string): Promise<{ code: number | null; stderr: string }> => {
    const { code, stderr } = await place.sh(`secrets ${line} --trust; exit $?`);
    return { code, stderr };
  };
  const current = async (): Promise<string> => whole((await place.sh('secrets get a')).stdout);
  /** A rotation whose new value is in use and could not be verified. */
  const stopped = async (): Promise<void> => {
    system.key = whole('first');
    system.had.clear();
    system.had.add(system.key);
    policy();
    await place.sh('printf first | secrets put --quiet a');
    system.blindBut = whole('first');
    const { code, stderr } = await run('rotate a');
    system.blindBut = undefined;
    expect([code, stderr]).toEqual([6, expect.stringContaining('the rotation stopped halfway')]);
    expect(system.key).not.toBe(whole('first'));
  };
  const row = async (): Promise<Record<string, unknown> | undefined> =>
    (
      JSON.parse((await place.sh('secrets rotate status --trust --json')).stdout) as {
        secrets: Record<string, unknown>[];
      }
    ).secrets[0];

  test(
    'a rollback names resume alone, status the reason too, and resume finishes it',
    async () => {
      await stopped();
      expect(await row()).toMatchObject({ state: 'stuck', todo: expect.stringContaining(ROLLBACK) });
      const { code, stderr } = await run('rotate rollback a --take-over');
      expect([code, stderr]).toEqual([
        type === 'http' ? 2 : 6,
        expect.stringContaining(`the target can’t be set back: ${RESUME} finishes it`),
      ]);
      expect(stderr).not.toContain(ROLLBACK);
      const reason = expect.stringMatching(type === 'http' ? /status 422/ : /ended with 3: no, not \*+/);
      const stuck = await row();
      // A hook that failed may have sent something, so its lease is kept.
      expect(stuck).toMatchObject({
        state: type === 'http' ? 'stuck' : 'rotating',
        todo: expect.stringContaining(`${RESUME} finishes it; it stopped because of this: `),
        lastFailure: { reason },
      });
      expect(stuck?.['todo']).not.toContain(ROLLBACK);
      const table = (await place.sh('secrets rotate status --trust')).stdout;
      expect(table).toContain(String(stuck?.['todo']));
      expect(`${stderr}${table}${JSON.stringify(stuck)}`).not.toContain(system.key);

      const resumed = await run('rotate resume a --take-over');
      if (type === 'http') {
        expect(resumed).toMatchObject({ code: 2, stderr: expect.stringContaining(LET) });
        expect(resumed.stderr).toContain(`and run ${RESUME}`);
        expect((await row())?.['todo']).toContain(LET);
        policy(422);
        expect(await run('rotate resume a --take-over')).toMatchObject({ code: 0 });
      } else {
        expect(resumed).toMatchObject({ code: 0 });
      }
      expect(await current()).toBe(system.key);
      expect(await row()).toMatchObject({ state: 'ok' });
      expect(await row()).not.toHaveProperty('lastFailure');
    },
    LONG,
  );

  test(
    'whose apply succeeds for such a value: the check says that it was not set back, and resume finishes it',
    async () => {
      await stopped();
      policy(422);
      const { code, stderr } = await run('rotate rollback a --take-over');
      expect([code, stderr]).toEqual([1, expect.stringContaining(`${RESUME} finishes it`)]);
      expect(stderr).not.toContain(ROLLBACK);
      expect(await run('rotate resume a --take-over')).toMatchObject({ code: 0 });
      expect(await current()).toBe(system.key);
    },
    LONG,
  );

  test(
    'a rollback before the new value was taken says to let apply succeed, and works then',
    async () => {
      await stopped();
      // As it is when the change was never made.
      system.key = whole('first');
      const { stderr } = await run('rotate rollback a --take-over');
      expect(stderr).toContain(LET);
      expect(stderr).toContain(`and run ${ROLLBACK}`);
      policy(422);
      expect(await run('rotate rollback a --take-over')).toMatchObject({ code: 0 });
      expect([await current(), system.key]).toEqual([whole('first'), whole('first')]);
    },
    LONG,
  );

  test(
    '--to-previous leads to another value',
    async () => {
      system.key = whole('first');
      system.had.add(system.key);
      policy();
      await place.sh('printf first | secrets put --quiet a');
      expect(await run('rotate a')).toMatchObject({ code: 0 });
      const second = await current();
      const back = await run('rotate rollback a --to-previous');
      expect(await current()).toBe(second);
      if (type === 'http') {
        expect(back).toMatchObject({
          code: 1,
          stderr: expect.stringContaining(`takes no value twice, secrets rotate ${REF} makes another value`),
        });
      } else {
        // A hook that failed may have made the change: both ways are left, and this one says what it lacks.
        expect(back).toMatchObject({ code: 6, stderr: expect.stringContaining(ROLLBACK) });
        const { stderr } = await run('rotate rollback a --take-over');
        expect(stderr).toContain(LET);
        policy(422);
        expect(await run('rotate rollback a --take-over')).toMatchObject({ code: 0 });
      }
      expect(await run('rotate a')).toMatchObject({ code: 0 });
      expect(await current()).toBe(system.key);
    },
    LONG,
  );
});
