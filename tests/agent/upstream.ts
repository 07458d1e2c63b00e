/** A store for the agent: as much of Vault as a read asks for, behind a proxy that misbehaves when told to. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FaultProxy, startFaultProxy } from '../contract/fault-proxy.ts';
import type { Agent, AgentPlace } from './kit.ts';

export interface Upstream extends FaultProxy {
  /** For commands and the agent. */
  readonly env: Readonly<Record<string, string>>;
  /** How often a value was asked for since the last `heal`. */
  reads(): number;
}

/** @param value what every secret has as its key `k` */
export async function startUpstream(value: string, delayMs = 20): Promise<Upstream> {
  const mount = { path: 'secret/', type: 'kv', options: { version: '2' } };
  const secret = { data: { k: value }, metadata: { version: 3, created_time: '2026-01-02T03:04:05Z' } };
  const server = createServer((request, response) => {
    const isGone = request.url?.includes('gone') === true;
    const data = request.url?.startsWith('/v1/secret/data/') === true ? secret : mount;
    setTimeout(() => {
      response.writeHead(isGone ? 404 : 200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(isGone ? { errors: [] } : { request_id: 'x', data }));
    }, delayMs);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy = await startFaultProxy({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  return Object.create(proxy, {
    env: { value: { VAULT_ADDR: proxy.url, VAULT_TOKEN: 'x' } },
    reads: {
      value: () => proxy.requests.filter(({ path }) => path.startsWith('/v1/secret/data/')).length,
    },
    stop: {
      value: async () => {
        await proxy.stop();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      },
    },
  }) as Upstream;
}

export interface BothDoors extends Agent {
  readonly address: string;
  readonly token: string;
}

/** An agent with its Vault door on any free port. */
export async function startBothDoors(
  place: AgentPlace,
  env: Readonly<Record<string, string>>,
  ...flags: readonly string[]
): Promise<BothDoors> {
  const file = join(place.root, 'token');
  const agent = await place.start(env, '--vault', '127.0.0.1:0', '--token-file', file, ...flags);
  const [first = ''] = agent.output().split('\n');
  const { doors } = JSON.parse(first) as { doors: readonly { name: string; address: string }[] };
  const address = doors.find(({ name }) => name === 'vault')?.address ?? '';
  return { ...agent, address, token: readFileSync(file, 'utf8') };
}
