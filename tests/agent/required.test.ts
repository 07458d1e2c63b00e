/** With `audit: required`, neither door of the agent hands out a value without its record, not even one from memory. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { logOf } from '../audit/program.ts';
import { type AgentPlace, makeAgentPlace } from './kit.ts';
import { type BothDoors, startBothDoors, startUpstream, type Upstream } from './upstream.ts';
import { ask, type Reply } from './vault/kit.ts';

const CANARY = 'canary-3ab8c1';

let upstream: Upstream;
let place: AgentPlace;
let agent: BothDoors;
beforeEach(async () => {
  upstream = await startUpstream(CANARY);
  place = await makeAgentPlace();
  const folder = join(place.home, '.config/secrets');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'secrets.yaml'), 'audit: { log: required }\n');
  agent = await startBothDoors(place, upstream.env);
});
afterEach(async () => {
  await place.remove();
  await upstream.stop();
});

const read = (): Promise<Reply> => ask(agent.address, '/v1/vault/data/app', { token: agent.token });
const get = (): ReturnType<AgentPlace['sh']> => place.sh('secrets get vault://app#k', upstream.env);

test.each([
  ['a folder in its place', (log: string) => mkdirSync(log, { recursive: true })],
  [
    'a link to elsewhere',
    (log: string) => {
      mkdirSync(join(place.root, 'elsewhere'));
      symlinkSync(join(place.root, 'elsewhere'), dirname(log));
    },
  ],
])(
  'a log that can’t be written (%s)',
  async (_, spoil) => {
    expect([(await read()).status, (await get()).stdout]).toEqual([200, CANARY]);
    const log = logOf(place);
    const folder = dirname(log);
    renameSync(folder, `${folder}.away`);
    spoil(log);
    const [reply, outcome] = [await read(), await get()];
    expect([reply.status, reply.body]).toEqual([
      403,
      expect.stringMatching(/^\{"errors":\["cannot write the audit log: /),
    ]);
    expect(outcome).toEqual({
      code: 8,
      stdout: '',
      stderr: expect.stringMatching(
        /^secrets: vault:\/\/app(#k)?: cannot write the audit log: .*\n$/,
      ) as string,
    });
    rmSync(folder, { recursive: true });
    renameSync(`${folder}.away`, folder);
    expect([(await read()).status, (await get()).stdout]).toEqual([200, CANARY]);
    const verified = await place.sh('secrets audit verify', upstream.env);
    expect([verified.code, verified.stderr]).toEqual([0, '']);
  },
  60_000,
);
