/** Starts the real Vault, in memory, with what the tests use: KV v2 at secret/, KV v1 at kv1/. */
import { join } from 'node:path';
import { freePort, type Server, startServer, WORK_DIR } from './server.ts';

export const VAULT_SERVER = join(WORK_DIR, 'vault-server');
export const scenarioFiles: readonly string[] = [VAULT_SERVER];

export interface Vault extends Server {
  readonly token: string;
  readonly unsealKey: string;
  /** The address of the standby, with `standby`. */
  readonly standbyUrl: string;
  /** The port that speaks TLS, with `tls`. */
  readonly tlsPort: number;
  /** A request as the server's root, for the tests' own preparations. Throws for a status of 400 and above. */
  api(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
}

export interface VaultOptions {
  /** A second node, a standby of the first. */
  readonly standby?: boolean;
  /** A second port that speaks TLS: PEM files; with `clientCa` it asks for client certificates. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
}

export async function startVault({ standby, tls }: VaultOptions = {}): Promise<Vault> {
  const second = standby === true ? await freePort() : 0;
  const tlsPort = tls === undefined ? 0 : await freePort();
  const server = await startServer({
    command: VAULT_SERVER,
    args: (port) => [
      ...['-listen', `127.0.0.1:${port}`],
      ...(standby === true ? ['-standby', `127.0.0.1:${second}`] : []),
      ...(tls === undefined
        ? []
        : ['-listen-tls', `127.0.0.1:${tlsPort}`, '-tls-cert', tls.cert, '-tls-key', tls.key]),
      ...(tls?.clientCa === undefined ? [] : ['-tls-client-ca', tls.clientCa]),
    ],
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
  const standbyUrl = `http://127.0.0.1:${second}`;
  const vault = { ...server, token, unsealKey, standbyUrl, tlsPort, api };
  await api('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await api('POST', 'sys/mounts/kv1', { type: 'kv', options: { version: '1' } });
  await untilReady(vault);
  return vault;
}

/** A new KV v2 mount upgrades itself for a moment, during which it answers 400. */
async function untilReady(vault: Vault): Promise<void> {
  const end = Date.now() + 120_000;
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
