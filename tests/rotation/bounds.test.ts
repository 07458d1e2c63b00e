/** How many rotations at a time, how they are spread, and how they are stopped: through the built program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { makePlace, NODE, type Outcome, type Place, PROGRAM } from '../e2e/program.ts';
import { until } from '../exec/setup.ts';
import { heardIn } from '../heard.ts';

/** A system with one key for each name, which it changes when it is let to. */
class Keys {
  readonly keys = new Map<string, string>();
  /** When each change was asked for, in milliseconds. */
  readonly asked: number[] = [];
  /** Most changes at a time. */
  most = 0;
  #now = 0;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => {};
  #server: Server | undefined;
  readonly #everywhere: { now: number; most: number };

  constructor(everywhere = { now: 0, most: 0 }) {
    this.#everywhere = everywhere;
  }

  async start(): Promise<string> {
    const server = createServer((request, response) => {
      const name = request.url ?? '';
      const word = request.headers.authorization?.slice('Bearer '.length);
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const holder = word === (this.keys.get(name) ?? 'first');
        if (request.method !== 'PUT' || !holder) {
          response.writeHead(holder ? 204 : 401).end();
          return;
        }
        this.asked.push(performance.now());
        this.#now += 1;
        this.most = Math.max(this.most, this.#now);
        this.#everywhere.now += 1;
        this.#everywhere.most = Math.max(this.#everywhere.most, this.#everywhere.now);
        const { key } = JSON.parse(body) as { key: string };
        void this.#change(name, key, () => response.writeHead(204).end());
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  async #change(name: string, key: string, answer: () => void): Promise<void> {
    await Promise.all([this.#gate, new Promise((resolve) => setTimeout(resolve, 200))]);
    this.#now -= 1;
    this.#everywhere.now -= 1;
    this.keys.set(name, key);
    answer();
  }

  /** Changes wait until `release`. */
  hold(): void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
  }

  release(): void {
    this.#open();
  }

  /** Until so many changes are asked for. */
  async until(count: number): Promise<void> {
    const end = Date.now() + 120_000;
    while (this.asked.length < count) {
      if (Date.now() > end) throw new Error(`${this.asked.length} of ${count} changes were asked for`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async stop(): Promise<void> {
    this.release();
    this.#server?.closeAllConnections();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
  }
}

describe('bounds of secrets rotate', () => {
  let place: Place;
  const systems: Keys[] = [];
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(async () => {
    await Promise.all(systems.splice(0).map((system) => system.stop()));
    await place.remove();
  });

  const LOCAL = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };
  /** What runs with this takes place an hour ago. */
  const ANOTHER_HOUR = {
    NODE_OPTIONS: `--require=${new URL('shift-clock.cjs', import.meta.url).pathname}`,
    CLOCK_OFF: '-3600000',
  };
  const sh = (script: string, env = {}): Promise<Outcome> => place.sh(script, { ...LOCAL, ...env });
  const ok = async (script: string, env = {}): Promise<string> => {
    const { code, stdout, stderr } = await sh(script, env);
    const told = stderr.replace(/^secrets: warning: made an encrypted store .*\n/, '');
    expect([script, code, told]).toEqual([script, 0, '']);
    return stdout;
  };

  const system = async (everywhere?: { now: number; most: number }): Promise<{ keys: Keys; url: string }> => {
    const keys = new Keys(everywhere);
    systems.push(keys);
    return { keys, url: await keys.start() };
  };

  /** Policies for secrets whose first value is there already. */
  async function policies(
    bounds: object,
    secrets: Readonly<Record<string, string>>,
    env = {},
  ): Promise<void> {
    const own = Object.entries(secrets).map(([name, url]) => {
      const apply = { method: 'PUT', headers: { authorization: 'Bearer {{old}}' }, body: { key: '{{new}}' } };
      const verify = { headers: { authorization: 'Bearer {{new}}' } };
      const at = `${url}/${name}`;
      const target = { type: 'http', apply: { url: at, ...apply }, verify: { url: at, ...verify } };
      return [name, { every: '1s', target }];
    });
    const rotation = { ...bounds, ...Object.fromEntries(own) };
    writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
    const first = Object.keys(secrets).map((name) => `printf first | secrets put --quiet ${name}`);
    await ok(first.join('; '), env);
  }

  const values = (names: readonly string[]): Promise<string[]> =>
    Promise.all(names.map((name) => ok(`secrets get ${name}`)));

  interface Run {
    readonly child: ChildProcess;
    /** Sends a signal; resolves once the program has it. */
    readonly tell: (signal: NodeJS.Signals) => Promise<void>;
    /** Until its stderr holds this. */
    readonly saw: (text: RegExp) => Promise<void>;
    readonly ended: Promise<{ code: number | null; stderr: string }>;
  }
  function start(...args: readonly string[]): Run {
    const heard = heardIn(place.root);
    const env = { ...place.env, ...LOCAL, ...heard.env };
    const child = spawn(NODE, [PROGRAM, ...args], { cwd: place.cwd, env });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.resume();
    return {
      child,
      tell: (signal) => {
        child.kill(signal);
        return heard.saw(`got ${signal}`);
      },
      saw: (text) =>
        until(
          () => text.test(stderr),
          () => `${text} in ${stderr}`,
        ),
      ended: new Promise((resolve) => child.on('exit', (code) => resolve({ code, stderr }))),
    };
  }

  test.each([
    [undefined, 1],
    [2, 2],
  ])('per-target %s: never more than %d at a time on one system', async (setting, most) => {
    const everywhere = { now: 0, most: 0 };
    const [one, other] = [await system(everywhere), await system(everywhere)];
    const bounds = { parallel: 10, ...(setting !== undefined && { 'per-target': setting }) };
    const on = (url: string, names: readonly string[]) => names.map((name) => [name, url] as const);
    const secrets = Object.fromEntries([
      ...on(one.url, ['a', 'b', 'c', 'd', 'e']),
      ...on(other.url, ['v', 'w']),
    ]);
    await policies(bounds, secrets);
    // As many as may are under way before the first one ends.
    for (const { keys } of [one, other]) keys.hold();
    const rotating = ok(`secrets rotate ${Object.keys(secrets).join(' ')} --trust`);
    await Promise.all([one, other].map(({ keys }) => keys.until(most)));
    for (const { keys } of [one, other]) keys.release();
    await rotating;
    expect([one.keys.asked.length, other.keys.asked.length]).toEqual([5, 2]);
    expect([one.keys.most, other.keys.most]).toEqual([most, Math.min(most, 2)]);
    // Two systems don't wait for each other.
    expect(everywhere.most).toBe(2 * most);
  });

  test.each([
    ['SIGINT', { parallel: 2, 'per-target': 2 }, 2],
    // Those that wait for their turn at the target have not begun.
    ['SIGTERM', { parallel: 4, 'per-target': 1 }, 1],
  ] as const)('%s with %j: those under way end, no other begins', async (signal, bounds, under) => {
    const { keys, url } = await system();
    const names = ['a', 'b', 'c', 'd'];
    await policies(bounds, Object.fromEntries(names.map((name) => [name, url])));
    keys.hold();
    const { tell, ended } = start('rotate', ...names, '--trust');
    await keys.until(under);
    await tell(signal);
    keys.release();
    expect(await ended).toEqual({
      code: 7,
      stderr: expect.stringContaining(`stopped before ${4 - under} of 4 were checked`),
    });
    expect(keys.asked).toHaveLength(under);
    const now = await values(names);
    expect(now.filter((value) => value !== 'first').toSorted()).toEqual([...keys.keys.values()].toSorted());
    expect(now.filter((value) => value === 'first')).toHaveLength(4 - under);
    // Nobody is in the way of the next run.
    await ok(`secrets rotate ${names.join(' ')} --trust`);
  });

  test.each([
    ['SIGINT', 'a'],
    ['SIGTERM', 'b'],
    ['SIGHUP', 'c'],
    ['SIGQUIT', 'd'],
  ] as const)('after %s a step that does not end is given up, and said', async (signal, name) => {
    const { keys, url } = await system();
    await policies({}, { [name]: url });
    keys.hold();
    const { child, ended } = start('rotate', name, '--trust');
    await keys.until(1);
    child.kill(signal);
    expect(await ended).toEqual({
      code: 130,
      stderr: expect.stringMatching(/the rotation stopped halfway.*secrets rotate resume/s),
    });
    keys.release();
    await ok(`secrets rotate resume ${name} --take-over --trust`);
    expect(await values([name])).toEqual([keys.keys.get(`/${name}`)]);
  });

  test('one that ends after the first signal is a success when nothing was left out', async () => {
    const { keys, url } = await system();
    await policies({}, { a: url });
    keys.hold();
    const { tell, ended } = start('rotate', 'a', '--trust');
    await keys.until(1);
    await tell('SIGTERM');
    keys.release();
    expect(await ended).toMatchObject({ code: 0 });
    expect(await values(['a'])).toEqual([keys.keys.get('/a')]);
  });

  test('the second signal stops at once, says what is left, and the next run finds and finishes it', async () => {
    const { keys, url } = await system();
    await policies({}, { a: url });
    keys.hold();
    const { child, tell, ended } = start('rotate', 'a', '--trust');
    await keys.until(1);
    await tell('SIGTERM');
    child.kill('SIGTERM');
    // The target has not answered yet.
    expect(await ended).toEqual({
      code: 130,
      stderr: expect.stringMatching(/local:\/\/a: the rotation stopped halfway.*secrets rotate resume/s),
    });
    expect(await values(['a'])).toEqual(['first']);
    // The change may still arrive, so its lease is waited for.
    expect(await sh('secrets rotate a --trust')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/a rotation is under way: \S+@\S+ since/),
    });
    expect(JSON.parse(await ok('secrets rotate status --trust --json'))).toMatchObject({
      secrets: [{ reference: 'local://a', state: 'rotating' }],
    });
    keys.release();
    await ok('secrets rotate resume a --take-over --trust');
    expect(await values(['a'])).toEqual([keys.keys.get('/a')]);
    await ok('secrets rotate a --trust');
  });

  test('with jitter each of what is due waits for another time, up to what it says, and a signal ends the wait', async () => {
    const { keys, url } = await system();
    const names = Array.from({ length: 10 }, (_, index) => `k${index}`);
    const secrets = Object.fromEntries(names.map((name) => [name, url]));
    await policies({ parallel: 10, 'per-target': 10, jitter: '9000h' }, secrets, ANOTHER_HOUR);
    const run = start('rotate', '--due', '--trust', '--debug');
    await run.saw(/(waits for its turn[^]*){10}/);
    run.child.kill('SIGTERM');
    const { code, stderr } = await run.ended;
    expect({ code, stderr }).toEqual({
      code: 7,
      stderr: expect.stringMatching(/stopped before 10 of 10 were/),
    });
    expect(keys.asked).toEqual([]);
    const waits = [...stderr.matchAll(/waits for its turn, for (\d+) s/g)].map(([, s]) => Number(s));
    // Two of ten within the same one of 32 million seconds, or all of them in one half: hardly ever.
    expect(new Set(waits).size).toBe(10);
    expect(Math.max(...waits)).toBeLessThanOrEqual(9000 * 3600);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(900 * 3600);

    // Those that waited are changed when it is their turn.
    const file = join(place.cwd, 'secrets.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"9000h"', '"2s"'));
    await ok('secrets rotate --due --trust');
    expect(keys.asked).toHaveLength(10);
  });

  test('--max-age takes a list from stdin, and leaves out what is newer', async () => {
    const { keys, url } = await system();
    await policies({}, { old: url, other: url, fresh: url }, ANOTHER_HOUR);
    // The list, and not the policies, says which; of these --max-age leaves out the newest.
    const list = `printf 'old\\n# a remark\\nfresh\\n'`;
    await ok('printf first | secrets put --quiet fresh');
    await ok(`${list} | secrets rotate - --max-age 10m --trust`);
    expect([...keys.keys.keys()]).toEqual(['/old']);
    expect(await sh(`printf 'nothing here\\n' | secrets rotate - --max-age 1h --trust`)).toMatchObject({
      code: 2,
    });
  });
});
