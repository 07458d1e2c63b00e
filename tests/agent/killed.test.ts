/** The built agent, killed while both of its doors are in use, and started again. */
import { readFileSync } from 'node:fs';
import { sized } from '../size.ts';
import { logOf, recordsIn } from '../audit/program.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';
import { type BothDoors, startBothDoors, startUpstream, type Upstream } from './upstream.ts';
import { ask } from './vault/kit.ts';

/** Long enough that answers are in several pieces. */
const VALUE = `canary-${'0123456789abcdef'.repeat(16_384)}-end`;
const ROUNDS = sized(3, 12);

let upstream: Upstream;
let place: AgentPlace;
beforeEach(async () => {
  upstream = await startUpstream(VALUE);
  place = await makeAgentPlace();
});
afterEach(async () => {
  await place.remove();
  await upstream.stop();
});

/** Asks the Vault door until the agent is gone. @returns how many whole answers there were */
async function readOn(agent: BothDoors, isOver: () => boolean): Promise<number> {
  let whole = 0;
  while (!isOver()) {
    try {
      const { status, body } = await ask(agent.address, '/v1/vault/data/app', { token: agent.token });
      const { data } = JSON.parse(body) as { data: { data: { k: string } } };
      expect([status, data.data.k === VALUE]).toEqual([200, true]);
      whole += 1;
    } catch (thrown) {
      // What a client of HTTP can tell from an answer: broken off, or nobody there.
      const { code } = thrown as NodeJS.ErrnoException;
      if (code !== 'ECONNRESET' && code !== 'ECONNREFUSED') throw thrown;
    }
  }
  return whole;
}

/** Starts commands one after the other. @returns how many there were, each with the whole value and no complaint */
async function getOn(isOver: () => boolean): Promise<number> {
  let whole = 0;
  while (!isOver()) {
    const { code, stdout, stderr } = await place.sh('secrets get vault://app#k', upstream.env);
    expect({ code, stderr, length: stdout.length }).toEqual({ code: 0, stderr: '', length: VALUE.length });
    expect(stdout === VALUE).toBe(true);
    whole += 1;
  }
  return whole;
}

test('commands have the whole value or get it themselves, no answer is half, and every record is whole', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    // The socket and the token file of the one before are in the way.
    const agent = await startBothDoors(place, upstream.env, '--fresh', '50ms');
    let isOver = false;
    const loads = [
      ...Array.from({ length: 8 }, () => readOn(agent, () => isOver)),
      ...Array.from({ length: 2 }, () => getOn(() => isOver)),
    ];
    await new Promise((resolve) => setTimeout(resolve, 1500 + 37 * round));
    agent.signal('SIGKILL');
    await agent.ended;
    await new Promise((resolve) => setTimeout(resolve, 100));
    isOver = true;
    const served = await Promise.all(loads);
    for (const count of served) expect(count).toBeGreaterThan(0);
  }
  const lines = readFileSync(logOf(place), 'utf8');
  expect(lines.endsWith('\n')).toBe(true);
  expect(lines).not.toContain(VALUE);
  expect(recordsIn(logOf(place)).length).toBeGreaterThan(ROUNDS * 10);
  const verified = await place.sh('secrets audit verify', upstream.env);
  expect({ code: verified.code, stderr: verified.stderr }).toEqual({ code: 0, stderr: '' });
  // And the next one serves.
  const agent = await startBothDoors(place, upstream.env);
  expect((await ask(agent.address, '/v1/vault/data/app', { token: agent.token })).status).toBe(200);
  expect((await place.sh('secrets agent stop', upstream.env)).code).toBe(0);
}, 240_000);
