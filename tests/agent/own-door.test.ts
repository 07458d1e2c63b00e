/** The door of the command line, with stores that answer what the test wants, and clients that misbehave. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OwnDoor } from '../../src/agent/own-door.ts';
import type { Serving } from '../../src/agent/serving.ts';
import type { ServedResult } from '../../src/agent/stores.ts';
import type { AgentRead } from '../../src/core/agent/messages.ts';
import type { ProgramWorld } from '../../src/config/kinds.ts';
import { askAgent } from '../../src/platform/agent/connect.ts';
import { frame } from '../../src/platform/agent/frames.ts';

const identity = { version: '1', home: '/', environment: '', log: '' };
const read: AgentRead = {
  op: 'read',
  identity,
  mode: 'required',
  store: { name: 'prod', provider: 'test', settings: {} },
  cwd: '/',
  credentials: '',
  client: { command: 'get', pid: 1 },
  requests: [{ name: 'a' }],
  waitMs: 5000,
};

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-own-'));
  path = join(folder, 'agent.sock');
});
afterEach(() => rmSync(folder, { recursive: true }));

async function open(readFor: () => Promise<readonly ServedResult[]>): Promise<OwnDoor> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const schema = async (): Promise<unknown> => (await import('valibot')).object({});
  return new OwnDoor({
    world: { env: {}, providers: [{ kind: 'test', schema }] } as unknown as ProgramWorld,
    stores: { readFor } as unknown as Serving,
    server,
    address: path,
    identity,
    status: () => ({}),
    stop: () => undefined,
    used: () => undefined,
    warn: () => undefined,
    debug: () => undefined,
  });
}

function found(value: Uint8Array, id = '1'): ServedResult {
  const secret = { name: 'a', id, state: 'enabled', stages: ['current'], value } as const;
  return { ok: true, secret, fetchedAt: new Date(), from: 'store' };
}

test('an answer that can’t be written is a refusal, and the agent goes on', async () => {
  const answers = [found(Buffer.from('x'), 7n as unknown as string), found(Buffer.from('x'))];
  const door = await open(() => Promise.resolve(answers.splice(0, 1)));
  expect((await askAgent(path, read)).answer).toMatchObject({ refused: 'store' });
  expect((await askAgent(path, read)).answer).toMatchObject({ results: [{ secret: { value: 'eA==' } }] });
  await door.stop();
});

test('a client that doesn’t read its answer doesn’t keep the agent from ending', async () => {
  const door = await open(() => Promise.resolve([found(Buffer.alloc(16 * 1024 * 1024))]));
  const { setTimeout: start } = globalThis;
  // While the agent goes on, a client has longer than that: here for ever, so that the agent's end alone can end it.
  globalThis.setTimeout = ((work: () => void, ms: number) =>
    start(work, ms < 5000 ? ms : 2 ** 31 - 1)) as typeof setTimeout;
  const socket: Socket = connect(path);
  try {
    socket.on('error', () => undefined);
    socket.once('connect', () => socket.write(frame(read)));
    let bytes = 0;
    // Part of the answer has come, after the greeting.
    await new Promise<void>((resolve) =>
      socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes < 10_000) return;
        socket.pause();
        resolve();
      }),
    );
    expect(door.status()['connections']).toBe(1);
    await door.stop();
    expect(bytes).toBeLessThan(16 * 1024 * 1024);
  } finally {
    globalThis.setTimeout = start;
    socket.destroy();
  }
});
