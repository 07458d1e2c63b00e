/** Policy files that can't be looked at any more: nobody gets the answers of those that were there before. */
import { mkdirSync, mkdtempSync, rmSync, rmdirSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentPolicies } from '../../src/agent/policies.ts';
import type { Session } from '../../src/session/session.ts';

const client = { door: 'vault' } as const;
let home: string;
beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'secrets-policies-lost-'))));
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('requests of the same turn are all refused', async () => {
  const machineFolder = join(home, 'machine');
  mkdirSync(machineFolder);
  const session = {
    world: { env: {}, home, machineFolder },
    config: () => Promise.resolve({ file: undefined }),
  } as unknown as Session;
  const policies = new AgentPolicies(session);
  expect(await policies.judge(client)).toBeUndefined();
  await new Promise((resolve) => setImmediate(resolve));
  rmdirSync(machineFolder);
  symlinkSync(machineFolder, machineFolder);
  const answers = await Promise.allSettled([policies.judge(client), policies.judge(client)]);
  for (const answer of answers)
    expect(answer).toMatchObject({
      reason: { message: expect.stringContaining('cannot look for a policy') },
    });
});
