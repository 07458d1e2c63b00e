/** What `secrets get REF`, answered by the agent before the program is loaded, may cost others, and how it fails. */
import { truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { AgentGet } from '../../src/core/agent/messages.ts';
import { askAgent } from '../../src/platform/agent/connect.ts';
import { frame } from '../../src/platform/agent/frames.ts';
import { clientIdentity, placeOf } from '../../src/session/agent-identity.ts';
import { type Agent, type AgentPlace, makeAgentPlace } from './kit.ts';
import { startUpstream, type Upstream } from './upstream.ts';

/** More than a pipe or a small file takes at once. */
const VALUE = 'x'.repeat(300_000);

let upstream: Upstream;
let place: AgentPlace;
let agent: Agent;
beforeEach(async () => {
  upstream = await startUpstream(VALUE);
  place = await makeAgentPlace();
  agent = await place.start(upstream.env);
  expect((await place.sh('secrets get vault://app#k', upstream.env)).stdout).toBe(VALUE);
});
afterEach(async () => {
  await place.remove();
  await upstream.stop();
});

const served = async (): Promise<number> => {
  const { answer } = await askAgent(agent.socket, { op: 'status' });
  const { doors } = (answer as { readonly done: { readonly doors: { readonly requests: number }[] } }).done;
  return doors[0]?.requests ?? 0;
};

test('a file that takes only the beginning of the value is one line, and not a fault of the program', async () => {
  const { stdout, stderr } = await place.sh(
    '(ulimit -f 4; secrets get vault://app#k > out); echo "code=$?"; wc -c < out',
    upstream.env,
  );
  expect(stdout).toBe('code=1\n4096\n');
  expect(stderr).toBe('secrets: EFBIG: file too large, write\n');
});

test('in a folder of a file system whose answers may never come, the agent is asked for the value alone', async () => {
  /** Of a value that it doesn't hold: one in the folder, which it refuses, and one for the value. */
  const requests = async (folder: string, name: string): Promise<number> => {
    const before = await served();
    const got = await place.sh(`cd ${folder} && secrets get vault://${name}#k`, upstream.env);
    expect([folder, got.code, got.stdout === VALUE]).toEqual([folder, 0, true]);
    // The last one is the question itself.
    return (await served()) - before - 1;
  };
  expect(await requests('.', 'one')).toBe(2);
  // Like those of a network, /proc is none of those that are known to answer.
  expect(await requests('/proc', 'two')).toBe(1);
});

test('the files that a secrets.yaml names are read by the command, while the agent serves others', async () => {
  writeFileSync(
    join(place.cwd, 'secrets.yaml'),
    'stores: { v: { provider: vault, address: https://v.example, ca: ./large } }\n',
  );
  writeFileSync(join(place.cwd, 'large'), '');
  // It takes longer to read than a client waits for any sign of life.
  truncateSync(join(place.cwd, 'large'), 24 * 1024 ** 3);
  const { home, cwd, env } = place;
  const { hello } = await askAgent(agent.socket, { op: 'status' });
  const client = clientIdentity({ env: { ...env, ...upstream.env }, home, uid: process.getuid?.() });
  const request: AgentGet = {
    op: 'get',
    identity: { ...client, version: hello.version },
    place: placeOf(cwd),
    cwd,
    reference: 'vault://app#k',
    variables: {},
    terminal: false,
    pid: 1,
  };
  expect((await askAgent(agent.socket, request)).answer).toMatchObject({
    refused: 'request',
    detail: 'it holds no value for that',
  });
});

test('an agent that says again and again that it is at work has as long as one that is silent', async () => {
  const path = join(place.root, 'other.sock');
  let pulses = 0;
  const server = createServer((socket) => {
    socket.write(frame({ agent: 'secrets', protocol: 1, version: '1', pid: 1 }));
    const pulse = setInterval(() => {
      pulses += 1;
      socket.write(frame({ waiting: true }));
    }, 50);
    socket.on('error', () => undefined).on('close', () => clearInterval(pulse));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  try {
    const asked = askAgent(path, { op: 'status' }, undefined, { answerMs: 1000 });
    await expect(asked).rejects.toMatchObject({ name: 'NoAgent', why: 'silent' });
    expect(pulses).toBeGreaterThan(0);
  } finally {
    server.close();
  }
});
