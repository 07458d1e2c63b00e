/**
 * A Vault audit device's records of a store: the lines of the file device (or saved lines of another one), a JSON
 * object for each request and each response. docs/vault.md lists the requirements and what is missing.
 *
 * A response's line contains its request, so requests are only kept until their response arrives. A secret that is not
 * found causes no error: its response is empty. Strings in requests and responses are HMACs with the device's own salt;
 * paths, names and numbers in responses are not. Vault computes the hashes of known strings, so that they can be found
 * (`trail.device`). Sources: https://developer.hashicorp.com/vault/docs/audit/schema,
 * https://developer.hashicorp.com/vault/api-docs/system/audit-hash,
 * https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2; checked with Vault 1.21.
 */
import type { AuditAction, AuditEvent } from '../../core/audit/record.ts';
import { toSecretsError } from '../../core/errors.ts';
import { checkPeriod } from '../../core/period.ts';
import type { CallOptions } from '../call.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import { LineCount, trailLines } from '../trail-lines.ts';
import { eventOf, type Fields, fieldsOf, isWithin, listOf, textOf, timeOf } from '../trail.ts';
import type { VaultClient } from './client.ts';
import type { Engine } from './engine.ts';
import { PENDING_SUFFIX } from './pending.ts';
import { Hashes } from './trail-hashes.ts';
import type { VaultSettings } from './settings.ts';

/** Maximum of requests that wait for their response; a server never has more in progress. */
const MAX_OPEN = 20_000;
const MAX_KEYS = 64;

const WRITES = ['create', 'update', 'patch'];
/** By path kind and operation in KV v2. */
const ACTIONS: Readonly<Record<string, Readonly<Record<string, AuditAction>>>> = {
  data: { read: 'read', delete: 'delete', ...each(WRITES, 'write') },
  metadata: {
    read: 'describe',
    list: 'list',
    scan: 'list',
    delete: 'purge',
    ...each(WRITES, 'label'),
  },
  subkeys: { read: 'describe' },
  delete: each(WRITES, 'delete'),
  undelete: each(WRITES, 'restore'),
  destroy: each(WRITES, 'purge'),
};
const FIRST_ACTIONS: Readonly<Record<string, AuditAction>> = {
  read: 'read',
  list: 'list',
  scan: 'list',
  delete: 'delete',
  ...each(WRITES, 'write'),
};

function each(operations: readonly string[], action: AuditAction): Record<string, AuditAction> {
  return Object.fromEntries(operations.map((operation) => [operation, action]));
}

export interface TrailSource {
  readonly client: VaultClient;
  readonly engine: Engine;
  readonly settings: VaultSettings;
  readonly context: Pick<ProviderContext, 'store' | 'warn' | 'now' | 'progress' | 'cwd' | 'home'>;
}

export async function* readTrail(
  source: TrailSource,
  query: TrailQuery,
  { signal }: CallOptions,
): AsyncIterable<AuditEvent> {
  checkPeriod(query);
  const { engine, settings, context } = source;
  const lines = trailLines(query, settings.trail?.file, context, 'Vault’s audit trail');
  const reader = await readerOf(source, signal);
  const needle = needleOf(engine.mount);
  const count = new LineCount(context, 'Vault’s audit device');
  const open = new Map<string, Found>();
  let unanswered = 0;
  const isWanted = (event: AuditEvent): boolean =>
    isWithin(event.time, query) && (query.name === undefined || event.secret === query.name);
  const giveUp = async (found: Found): Promise<AuditEvent | undefined> => {
    const event = await reader.event(found, undefined);
    if (!isWanted(event)) return undefined;
    unanswered += 1;
    return event;
  };

  for await (const line of lines) {
    if (line === '') continue;
    if (needle !== undefined && !line.includes(needle) && looksLikeEntry(line)) {
      count.add(true, signal);
      continue;
    }
    const entry = parse(line);
    count.add(entry !== undefined, signal);
    if (entry === undefined) continue;
    const found = reader.find(entry);
    if (found === undefined) continue;
    if (found.isResponse) {
      open.delete(found.id);
      const event = await reader.event(found, entry);
      if (isWanted(event)) yield event;
      continue;
    }
    open.set(found.id, found);
    if (open.size <= MAX_OPEN) continue;
    const [[id, oldest] = []] = open;
    if (id === undefined || oldest === undefined) continue;
    open.delete(id);
    const event = await giveUp(oldest);
    if (event !== undefined) yield event;
  }
  for (const found of open.values()) {
    const event = await giveUp(found);
    if (event !== undefined) yield event;
  }
  count.end();
  if (unanswered > 0)
    context.warn(
      `${unanswered} requests have no response in the trail, so their outcome is unknown; they are shown as failed`,
    );
}

async function readerOf(
  { client, engine, settings, context }: TrailSource,
  signal: AbortSignal,
): Promise<Reader> {
  const kv = await engine.version(signal).catch((thrown: unknown) => {
    context.warn(
      `the version of the KV engine is unknown, so 2 is assumed (${toSecretsError(thrown).message}); set kv-version of the store`,
    );
    return 2 as const;
  });
  return new Reader({
    mount: engine.mount,
    namespace: client.namespace,
    kv,
    store: context.store,
    hashes: new Hashes({ client, device: settings.trail?.device, warn: context.warn, signal }),
  });
}

/** Whether the line looks like an entry. Most lines of a large file belong to other mounts and are not parsed. */
function looksLikeEntry(line: string): boolean {
  return /"type":"re(quest|sponse)"/.test(line) && line.trimEnd().endsWith('}');
}

/** An audit device's object; the device may be configured to write a prefix before it. */
function parse(line: string): Fields | undefined {
  const start = line.indexOf('{');
  if (start < 0) return undefined;
  try {
    const entry = fieldsOf(JSON.parse(line.slice(start)));
    const isEntry =
      (entry['type'] === 'request' || entry['type'] === 'response') && timeOf(entry['time']) !== undefined;
    return isEntry && textOf(fieldsOf(entry['request'])['path']) !== undefined ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** A text that every line about the mount contains; `undefined` if JSON could write it in several ways. */
function needleOf(mount: string): string | undefined {
  return /^[\w./-]+$/.test(mount) ? `${mount}/` : undefined;
}

/** The needed fields of a request to the engine; lines themselves are not kept. */
interface Found {
  readonly id: string;
  readonly isResponse: boolean;
  readonly action: AuditAction;
  readonly secret: string | undefined;
  readonly pending: boolean;
  readonly time: string;
  readonly error: unknown;
  readonly operation: string;
  readonly principal: string | undefined;
  readonly source: string | undefined;
  readonly accessor: string | undefined;
  readonly address: string | undefined;
  readonly client: string | undefined;
  readonly asked: readonly string[];
  readonly keys: readonly string[] | undefined;
}

interface About {
  readonly mount: string;
  readonly namespace: string;
  readonly kv: 1 | 2;
  readonly store: string;
  readonly hashes: Hashes;
}

class Reader {
  readonly #about: About;

  constructor(about: About) {
    this.#about = about;
  }

  /** `undefined` for an entry about another engine or namespace. */
  find(entry: Fields): Found | undefined {
    const request = fieldsOf(entry['request']);
    const rest = this.#inMount(request);
    const operation = textOf(request['operation']) ?? '';
    if (rest === undefined || operation === 'help') return undefined;
    const { action, name } = this.#actionOf(rest, operation);
    const pending = name?.endsWith(PENDING_SUFFIX) === true;
    const auth = fieldsOf(entry['auth']);
    const data = fieldsOf(request['data']);
    const agents = listOf(fieldsOf(request['headers'])['user-agent']);
    const policies = listOf(auth['policies']).flatMap((policy) => textOf(policy) ?? []);
    const entity = textOf(auth['entity_id']);
    const told = [
      ...(entity === undefined ? [] : [`entity ${entity}`]),
      ...(policies.length === 0 ? [] : [`policies ${policies.join(', ')}`]),
    ];
    return {
      id: textOf(request['id']) ?? '',
      isResponse: entry['type'] === 'response',
      action,
      secret: pending ? name.slice(0, -PENDING_SUFFIX.length) : name,
      pending,
      time: timeOf(entry['time']) as string,
      error: entry['error'],
      operation,
      principal: textOf(auth['display_name']) ?? entity,
      source: told.length === 0 ? undefined : told.join('; ').slice(0, 1024),
      accessor: textOf(request['client_token_accessor']) ?? textOf(auth['accessor']),
      address: textOf(request['remote_address']),
      client: textOf(agents[0]),
      asked: versionsAsked(request, data),
      keys: operation === 'patch' ? Object.keys(fieldsOf(data['data'])).slice(0, MAX_KEYS) : undefined,
    };
  }

  /** The path within the engine. */
  #inMount(request: Fields): string | undefined {
    const { mount, namespace } = this.#about;
    const trim = (path: unknown): string => (textOf(path) ?? '').replaceAll(/^\/+|\/+$/g, '');
    if (trim(fieldsOf(request['namespace'])['path']) !== namespace) return undefined;
    const path = (textOf(request['path']) ?? '').replace(/^\/+/, '');
    if (path.startsWith(`${mount}/`)) return path.slice(mount.length + 1);
    const full = `${namespace}/${mount}/`;
    return namespace !== '' && path.startsWith(full) ? path.slice(full.length) : undefined;
  }

  #actionOf(path: string, operation: string): { action: AuditAction; name: string | undefined } {
    const known = (actions: Readonly<Record<string, AuditAction>> | undefined): AuditAction =>
      actions !== undefined && Object.hasOwn(actions, operation)
        ? (actions[operation] as AuditAction)
        : 'other';
    const named = (action: AuditAction, name: string): { action: AuditAction; name: string | undefined } => ({
      action,
      // A listing is about a folder.
      name: action === 'list' || name === '' ? undefined : name,
    });
    if (this.#about.kv === 1) return named(known(FIRST_ACTIONS), path);
    const slash = path.indexOf('/');
    const kind = slash < 0 ? path : path.slice(0, slash);
    if (!Object.hasOwn(ACTIONS, kind)) return { action: 'other', name: undefined };
    return named(known(ACTIONS[kind]), slash < 0 ? '' : path.slice(slash + 1));
  }

  /** @param entry the response's line; undefined if there was none */
  async event(found: Found, entry: Fields | undefined): Promise<AuditEvent> {
    const { hashes, store } = this.#about;
    const { id, action, secret, pending, time, principal, source, accessor, address, asked, keys } = found;
    const answered = answeredVersion(entry);
    const numbers = answered === undefined ? await Promise.all(asked.map((one) => hashes.number(one))) : [];
    const isOwn = await hashes.isOwnToken(accessor);
    return eventOf({
      time,
      origin: 'vault-audit',
      action,
      ...outcomeOf(found, entry),
      actor: {
        principal,
        source: isOwn ? `this store’s own token; ${source ?? ''}`.replace(/; $/, '') : source,
      },
      store,
      provider: 'vault',
      secret,
      version: pending ? 'pending' : (answered ?? (numbers.join(',') || undefined)),
      keys,
      address,
      client: await hashes.agent(found.client),
      requestId: id === '' ? undefined : id,
    });
  }
}

/** The versions that a request names, plain or hashed. */
function versionsAsked(request: Fields, data: Fields): readonly string[] {
  const uri = /[?&]version=(\d+)/.exec(textOf(request['request_uri']) ?? '')?.[1];
  if (uri !== undefined) return uri === '0' ? [] : [uri];
  const one = data['version'];
  return [one, ...listOf(data['versions'])].flatMap((version) =>
    typeof version === 'number' ? String(version) : (textOf(version) ?? []),
  );
}

/** The version in a response, where the number is not hashed. */
function answeredVersion(entry: Fields | undefined): string | undefined {
  const data = fieldsOf(fieldsOf(entry?.['response'])['data']);
  const number = fieldsOf(data['metadata'])['version'] ?? data['version'];
  return typeof number === 'number' && number > 0 ? String(number) : undefined;
}

function outcomeOf(
  { error, operation }: Found,
  entry: Fields | undefined,
): Pick<AuditEvent, 'outcome' | 'error'> {
  const text = textOf(error);
  // Only known texts: an error may quote the request.
  if (text !== undefined) {
    if (/invalid token|missing client token|token expired/i.test(text))
      return { outcome: 'denied', error: 'Unauthenticated' };
    if (/permission denied/i.test(text)) return { outcome: 'denied', error: 'Denied' };
    if (/unsupported (path|operation)/i.test(text)) return { outcome: 'failed', error: 'Unsupported' };
    return { outcome: 'failed', error: /invalid request/i.test(text) ? 'Invalid' : 'Failed' };
  }
  if (entry === undefined) return { outcome: 'failed', error: 'NoResponse' };
  const response = fieldsOf(entry['response']);
  const data = fieldsOf(response['data']);
  const status = data['http_status_code'];
  if (typeof status === 'number' && status >= 400)
    return status === 403
      ? { outcome: 'denied', error: 'Denied' }
      : { outcome: 'failed', error: status === 404 ? 'NotFound' : 'Failed' };
  if (operation !== 'read' && operation !== 'list' && operation !== 'scan') return { outcome: 'allowed' };
  const isWrapped = Object.keys(fieldsOf(response['wrap_info'])).length > 0;
  // A deleted version has metadata but no data.
  const isGone = 'metadata' in data && data['data'] === null;
  const isEmpty = Object.keys(data).length === 0;
  return (isEmpty && !isWrapped) || isGone
    ? { outcome: 'failed', error: 'NotFound' }
    : { outcome: 'allowed' };
}
