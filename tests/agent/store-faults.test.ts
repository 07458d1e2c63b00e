/** The built agent, while the store behind it misbehaves, and when it is back: both doors. */
import type { Fault } from '../contract/fault-proxy.ts';
import { sampled, sized } from '../size.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';
import { type BothDoors, startBothDoors, startUpstream, type Upstream } from './upstream.ts';
import { ask, type Reply } from './vault/kit.ts';

const CANARY = 'canary-77ab01';
/** How long values are held here. */
const TTL_MS = 6000;

let upstream: Upstream;
let place: AgentPlace;
let agent: BothDoors;

beforeEach(async () => {
  upstream = await startUpstream(CANARY);
  place = await makeAgentPlace();
  agent = await startBothDoors(place, upstream.env, '--fresh', '1ms', '--ttl', `${TTL_MS}ms`);
});
afterEach(async () => {
  await place.remove();
  await upstream.stop();
});

const read = (name: string): Promise<Reply> =>
  ask(agent.address, `/v1/vault/data/${name}`, { token: agent.token });
const get = (line: string): ReturnType<AgentPlace['sh']> => place.sh(`secrets get ${line}`, upstream.env);

const faults: readonly (readonly [string, Fault, number, RegExp])[] = [
  ['throttles', { answer: { status: 429, body: '{"errors":["slow down"]}' } }, 429, /rate limit/],
  ['fails', { answer: { status: 500, body: '{"errors":["internal"]}' } }, 503, /status 500/],
  ['is under maintenance', { answer: { status: 503 } }, 503, /maintenance or overloaded/],
  ['answers as something else', { answer: { status: 200, body: '<html>' } }, 503, /not from Vault/],
  ['breaks connections', 'reset', 503, /cannot reach/],
  ['breaks off its answers', 'truncated', 503, /cannot reach/],
  ['never ends its answers', 'endless', 503, /too long/],
];

test.each(sampled(faults, 3))(
  'a store that %s: memory answers in its time, then the failure is named, and nobody is turned away once it is back',
  async (_, fault, status, message) => {
    expect((await read('app')).status).toBe(200);
    const held = Date.now();
    upstream.fault(fault);
    const [kept, shown] = await Promise.all([read('app'), get('vault://app#k')]);
    // Machines under load take longer than values are held.
    if (Date.now() - held < TTL_MS) {
      expect(kept.body).toContain('"warnings":["the store did not answer; this value was read ');
      expect([kept.status, kept.body.includes(CANARY)]).toEqual([200, true]);
      expect(shown).toMatchObject({ code: 0, stdout: CANARY });
      expect(shown.stderr).toMatch(/^secrets: warning: vault:\/\/app: the store does not answer; .*\n$/);
    }
    await new Promise((resolve) => setTimeout(resolve, held + TTL_MS + 200 - Date.now()));
    const [failed, refused] = await Promise.all([read('app'), get('vault://app#k')]);
    const { errors } = JSON.parse(failed.body) as { errors: readonly string[] };
    expect([failed.status, errors]).toEqual([status, [expect.stringMatching(message)]]);
    expect(refused).toEqual({
      code: 6,
      stdout: '',
      stderr: expect.stringMatching(
        new RegExp(`^secrets: vault://app#k: .*${message.source}.*\n$`),
      ) as string,
    });
    expect(`${failed.body}${refused.stderr}`).not.toContain(CANARY);
    upstream.heal();
    expect((await read('app')).body).toContain('"warnings":null');
    expect(await get('vault://app#k')).toEqual({ code: 0, stdout: CANARY, stderr: '' });
  },
  60_000,
);

test('a store that hangs holds up nobody who can have an answer', async () => {
  await read('app');
  upstream.fault('hang');
  const start = Date.now();
  const [kept, shown] = await Promise.all([read('app'), get('--timeout 30s vault://app#k')]);
  expect(kept.body).toContain('the store did not answer');
  expect([shown.code, shown.stdout]).toEqual([0, CANARY]);
  expect(Date.now() - start).toBeLessThan(20_000);
  const late = await get('--timeout 2s vault://never-read');
  expect(late).toMatchObject({
    code: 6,
    stdout: '',
    stderr: expect.stringContaining('no answer in time') as string,
  });
}, 60_000);

test('a store that comes back is asked once by those who waited, and bounded by those who ask for other secrets', async () => {
  const names = sized(100, 400);
  await place.sh('secrets agent stop', upstream.env);
  await agent.ended;
  agent = await startBothDoors(place, upstream.env);
  upstream.fault('hang');
  const waiting = Array.from({ length: 500 }, () => read('same'));
  while (upstream.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  upstream.heal();
  const others = Array.from({ length: names }, (_, index) => read(`other-${index}`));
  const replies = await Promise.all([...waiting, ...others]);
  expect(replies.filter(({ status, body }) => status === 200 && body.includes(CANARY))).toHaveLength(
    500 + names,
  );
  expect(upstream.reads()).toBe(1 + names);
  expect(upstream.peak).toBeLessThanOrEqual(64);
}, 120_000);
