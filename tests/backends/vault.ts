/** Starts the real Vault, in memory, with what the tests use: KV v2 at secret/, KV v1 at kv1/. */
import { join } from 'node:path';
import { type Server, startServer, WORK_DIR } from './server.ts';

export const VAULT_SERVER = join(WORK_DIR, 'vault-server');
export const scenarioFiles: readonly string[] = [VAULT_SERVER];

export interface Vault extends Server {
  readonly token: string;
  readonly unsealKey: string;
  /** A request as the server's root, for the tests' own preparations. Throws for a status of 400 and above. */
  api(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
}

export async function startVault(): Promise<Vault> {
  const server = await startServer({
    command: VAULT_SERVER,
    args: (port) => ['-listen', `127.0.0.1:${port}`],
    ready: /^root \S+$/m,
  });
  const token = /^root (\S+)$/m.exec(server.output())?.[1] ?? '';
  const unsealKey = /^unseal (\S+)$/m.exec(server.output())?.[1] ?? '';
  const api: Vault['api'] = async (method, path, body) => {
    const response = await fetch(`${server.url}/v1/${path}`, {
      method,
      headers: { 'X-Vault-Token': token },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status >= 400) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  };
  const vault = { ...server, token, unsealKey, api };
  await api('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await api('POST', 'sys/mounts/kv1', { type: 'kv', options: { version: '1' } });
  await untilReady(vault);
  return vault;
}

/** A new KV v2 mount upgrades itself for a moment, during which it answers 400. */
async function untilReady(vault: Vault): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      await vault.api('POST', 'secret/data/ready', { data: {} });
      await vault.api('DELETE', 'secret/metadata/ready');
      return;
    } catch (thrown) {
      if (Date.now() > end) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export async function startForScenarios(): Promise<{
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}> {
  const vault = await startVault();
  return { env: { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token }, stop: () => vault.stop() };
}
