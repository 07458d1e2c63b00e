import { resolve } from 'node:path';
import { runAgent, type DaemonSettings, type DoorOpener, type Ready } from '../../agent/daemon.ts';
import { DEFAULTS } from '../../agent/serving-settings.ts';
import { placeOf } from '../../agent/vault/server.ts';
import { MAX_TTL } from '../../agent/vault/tokens.ts';
import { reasonOf } from '../../audit/recording/reason.ts';
import { parseDuration } from '../../core/duration.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';
import { scopeOf, type VaultOptions, type VaultScope } from './vault-options.ts';

export interface StartOptions extends VaultOptions {
  readonly vault?: string;
  readonly tokenFile?: string;
  readonly tokenTtl?: string;
  readonly detach?: boolean;
  readonly ttl?: string;
  readonly fresh?: string;
  readonly idle?: string;
  readonly maxValues?: string;
  readonly maxBytes?: string;
}

const DEFAULT_IDLE_MS = 8 * 3_600_000;

export async function run(session: Session, { options }: Invocation<StartOptions>): Promise<void> {
  const scope = await scopeOf(session, options);
  const settings = { ...settingsOf(options), write: scope.write };
  const doors = doorsOf(session, options, scope);
  if (options.tokenFile !== undefined) await checkTokenFile(session, options.tokenFile);
  if (options.detach === true) {
    const { startDetached } = await import('./detach.ts');
    await startDetached(session);
    if (options.vault !== undefined) await checkServing(session, options, scope);
    return;
  }
  const why = await runAgent(session, settings, doors, (ready) => announce(session, ready));
  if (why === 'idle') session.note('the agent has ended, because nobody has used it');
}

/** An agent that was running before may have been started in another way. @throws SecretsError Conflict */
async function checkServing(
  session: Session,
  { vault = '', tokenFile = '' }: StartOptions,
  { read, write }: VaultScope,
): Promise<void> {
  const { askRunning } = await import('./ask.ts');
  const { textOf } = await import('../../agent/vault/door.ts');
  const { done } = await askRunning(session, { op: 'status' });
  const doors = isJsonObject(done) && Array.isArray(done['doors']) ? done['doors'].filter(isJsonObject) : [];
  const door = doors.find(({ name }) => name === 'vault');
  const hint = 'run secrets agent stop, and start it again';
  if (door === undefined)
    throw new SecretsError('Conflict', 'an agent without the Vault API is running already', { hint });
  const differs = [
    ['another --vault', !isAt(String(door['address']), vault)],
    ['another --token-file', door['tokenFile'] !== resolve(session.world.cwd, tokenFile)],
    ['other --read', (door['reads'] ?? undefined) !== (read && textOf(read))],
    ['other --write', (door['writes'] ?? '') !== textOf(write)],
  ] as const;
  const found = differs.filter(([, isOther]) => isOther).map(([what]) => what);
  if (found.length > 0)
    throw new SecretsError('Conflict', `an agent with ${found.join(' and ')} is running already`, { hint });
}

/** Whether a door is where it was asked for: port 0 is any. */
function isAt(address: string, asked: string): boolean {
  const place = placeOf(asked);
  const is = placeOf(address);
  if ('socket' in place || 'socket' in is)
    return 'socket' in place && 'socket' in is && place.socket === is.socket;
  const [own, other] = [place, is].map(({ host }) => (host === 'localhost' ? '127.0.0.1' : host));
  return own === other && (place.port === 0 || place.port === is.port);
}

/**
 * The token of this agent would be sent to the real Vault, and the store would no longer be signed in.
 * @throws SecretsError Usage
 */
async function checkTokenFile(session: Session, tokenFile: string): Promise<void> {
  const { home, cwd, env } = session.world;
  const path = resolve(cwd, tokenFile);
  for (const { name, provider, settings, source } of (await session.config()).stores.values()) {
    if (provider !== 'vault' || source === 'builtin') continue;
    const auth = isJsonObject(settings['auth']) ? settings['auth'] : {};
    const isToken = auth['method'] === undefined || auth['method'] === 'token';
    const own = auth['token-file'];
    const usual = (env['VAULT_TOKEN'] ?? '') === '' ? `${home}/.vault-token` : undefined;
    const read = typeof own === 'string' ? resolve(cwd, own.replace(/^~(?=\/)/, home)) : usual;
    if (isToken && read === path)
      throw new SecretsError('Usage', `--token-file is where the store ${name} finds its own token`, {
        hint: 'choose another path',
      });
  }
}

/**
 * The doors that were asked for beside the command line's own.
 * @throws SecretsError Usage
 */
function doorsOf(
  { world }: Session,
  { vault, tokenFile, tokenTtl, read, write, reason: given }: StartOptions,
  scope: VaultScope,
): readonly DoorOpener[] {
  if (vault === undefined) {
    if ([tokenFile, tokenTtl, read, write].every((option) => option === undefined)) return [];
    throw new SecretsError('Usage', '--token-file, --token-ttl, --read and --write need --vault', {
      hint: 'as in: --vault 127.0.0.1:8200 --token-file ~/.secrets-vault-token',
    });
  }
  if (tokenFile === undefined)
    throw new SecretsError('Usage', '--vault needs --token-file, where programs find their token', {
      hint: 'such as --token-file ~/.secrets-vault-token; for one program: secrets agent run',
    });
  const ttl = tokenTtl === undefined ? undefined : Math.round(parseDuration(tokenTtl) / 1000);
  if (ttl !== undefined && (ttl < 60 || ttl > MAX_TTL))
    throw new SecretsError('Usage', '--token-ttl is between 1m and 24h');
  placeOf(vault);
  const reason = reasonOf(given, world.env['SECRETS_REASON']);
  return [
    async (context) => {
      const { openVaultDoor } = await import('../../agent/vault/door.ts');
      return openVaultDoor(
        { address: vault, tokenFile: resolve(world.cwd, tokenFile), tokenTtl: ttl, ...scope, reason },
        context,
      );
    },
  ];
}

/** @throws SecretsError Usage */
function settingsOf({ ttl, fresh, idle, maxValues, maxBytes }: StartOptions): DaemonSettings {
  const { bounds, reading } = DEFAULTS;
  const ttlMs = ttl === undefined ? bounds.ttlMs : parseDuration(ttl);
  const freshMs = fresh === undefined ? Math.min(reading.freshMs, ttlMs) : parseDuration(fresh);
  if (freshMs > ttlMs)
    throw new SecretsError('Usage', '--fresh is longer than --ttl', {
      hint: 'a value is forgotten after --ttl, so it can’t be handed out for longer',
    });
  return {
    ...DEFAULTS,
    bounds: {
      ttlMs,
      maxValues: maxValues === undefined ? bounds.maxValues : countOf(maxValues),
      maxBytes: maxBytes === undefined ? bounds.maxBytes : sizeOf(maxBytes),
    },
    reading: { ...reading, freshMs },
    idleMs: idle === 'never' ? undefined : idle === undefined ? DEFAULT_IDLE_MS : parseDuration(idle),
  };
}

function countOf(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new SecretsError('Usage', `--max-values ${JSON.stringify(text.slice(0, 40))} is not a number`);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

function sizeOf(text: string): number {
  const match = /^(\d{1,9})([KMG]?)(?:iB)?$/.exec(text);
  if (match !== null) return Number(match[1]) * (UNITS[match[2] ?? ''] as number);
  throw new SecretsError('Usage', `--max-bytes ${JSON.stringify(text.slice(0, 40))} is not a size`, {
    hint: 'use 65536, 512K, 16M or 1G',
  });
}

async function announce(session: Session, ready: Ready): Promise<void> {
  if (session.options.json === true) {
    try {
      await session.print(`${JSON.stringify(ready)}\n`);
    } catch (thrown) {
      session.debug(`nobody reads where it listens: ${toSecretsError(thrown).message}`);
    }
    return;
  }
  session.note(`the agent listens at ${ready.doors.map(({ address }) => address).join(' and ')}`);
}
