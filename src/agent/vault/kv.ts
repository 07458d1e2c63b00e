/** KV version 2: data, metadata, subkeys, and lists of names. Version 1: the map itself. */
import type { AuditAction } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { SecretInfo, VersionInfo } from '../../core/secret.ts';
import type { SecretRequest } from '../../providers/provider.ts';
import type { Served } from '../stores.ts';
import {
  type Answer,
  envelope,
  failed,
  leased,
  NOT_ALLOWED,
  NOT_FOUND,
  ROOT_OF_MOUNT,
  wrongKvPath,
} from './answers.ts';
import { goDuration } from './durations.ts';
import { type GoValue, goString, goTime, Raw } from './go-json.ts';
import { writeData, writeMap } from './kv-write.ts';
import type { Mount } from './paths.ts';
import { denied, type DoorRequest } from './request.ts';
import { mapOf, numberOf, subkeysOf } from './values.ts';

/** What a request would have done that no token may do. */
function actionOf(method: string): AuditAction {
  return method === 'DELETE' ? 'delete' : method === 'POST' || method === 'PUT' ? 'write' : 'other';
}

/** How long clients of KV version 1 may use a value before they read it again: Vault's default, 32 days. */
const V1_LEASE = 2_764_800;

export function kvV1(request: DoorRequest, { store }: Mount, rest: string): Promise<Answer> | Answer {
  if (request.method === 'LIST') return listNames(request, store, rest);
  if (request.method === 'POST' || request.method === 'PUT') return writeMap(request, store, rest);
  if (request.method !== 'GET') return denied(request, actionOf(request.method), store, rest);
  if (rest === '' || rest.endsWith('/')) return NOT_FOUND;
  if (!request.token.rights.mayRead(store, rest)) return denied(request, 'read', store, rest);
  return readMap(request, store, rest);
}

async function readMap(request: DoorRequest, store: string, name: string): Promise<Answer> {
  const { client, call, stores } = request;
  const served = await stores.get(client, store, { name }, call).catch(ifMissing);
  if (served === undefined) return NOT_FOUND;
  const map = mapOf(served.secret);
  return leased(map, leaseOf(map), warningsOf(served, request));
}

/** A map can say how long it is good for, in `ttl` or `lease`. */
function leaseOf(map: Raw): number {
  const { ttl, lease } = JSON.parse(map.json) as { readonly ttl?: unknown; readonly lease?: unknown };
  for (const one of [ttl, lease]) {
    const read = one === undefined ? undefined : goDuration(one);
    if (read !== undefined && 'seconds' in read && read.seconds > 0) return read.seconds;
  }
  return V1_LEASE;
}

export function kvV2(request: DoorRequest, mount: Mount, rest: string): Promise<Answer> | Answer {
  const { method, token } = request;
  const { store } = mount;
  const slash = rest.indexOf('/');
  const [kind, name] = slash === -1 ? [rest, ''] : [rest.slice(0, slash), rest.slice(slash + 1)];
  if (method === 'LIST')
    return kind === 'metadata' ? listNames(request, store, name) : unknownPath(request, store, true);
  const isWrite = method === 'POST' || method === 'PUT';
  if (isWrite && kind === 'data') return writeData(request, store, name);
  if (method !== 'GET') return denied(request, actionOf(method), store, name);
  if (kind === 'metadata') {
    const bare = name.replace(/\/$/, '');
    if (bare === '') return token.rights.mayUse(store) ? NOT_FOUND : NOT_ALLOWED;
    return token.rights.mayRead(store, bare)
      ? readMetadata(request, store, bare)
      : denied(request, 'describe', store, bare);
  }
  if (kind !== 'data' && kind !== 'subkeys') return unknownPath(request, store, false);
  if (slash === -1) return token.rights.mayUse(store) ? ROOT_OF_MOUNT() : NOT_ALLOWED;
  if (name === '' && kind === 'subkeys') return token.rights.mayUse(store) ? NOT_FOUND : NOT_ALLOWED;
  if (name === '' || name.endsWith('/')) return unknownPath(request, store, false);
  if (!token.rights.mayRead(store, name)) return denied(request, 'read', store, name);
  return readData(request, store, name, kind);
}

function unknownPath({ token }: DoorRequest, store: string, isList: boolean): Answer {
  return token.rights.mayUse(store) ? wrongKvPath(isList) : NOT_ALLOWED;
}

async function readData(
  request: DoorRequest,
  store: string,
  name: string,
  kind: 'data' | 'subkeys',
): Promise<Answer> {
  const wanted = versionOf(request.query.getAll('version'));
  if (typeof wanted === 'string') return failed(400, wanted);
  const depth = Number.parseInt(request.query.get('depth') ?? '0', 10);
  const { client, call, stores } = request;
  const asked: SecretRequest | undefined =
    wanted === 0 ? { name } : await requestFor(request, store, name, wanted);
  if (asked === undefined) return NOT_FOUND;
  const served = await stores.get(client, store, asked, call).catch(ifMissing);
  if (served === undefined) return missing(request, store, name, wanted, kind);
  const map = mapOf(served.secret);
  const metadata = metadataOf(served.secret, numberOf(served.secret));
  const data: GoValue =
    kind === 'data'
      ? { data: map, metadata }
      : { metadata, subkeys: subkeysOf(map, Number.isNaN(depth) || depth <= 0 ? -1 : depth) };
  return envelope(data, { mount: 'kv', warnings: warningsOf(served, request) });
}

/** The request for a version by its number, or undefined if there is none of that number. */
async function requestFor(
  request: DoorRequest,
  store: string,
  name: string,
  wanted: number,
): Promise<SecretRequest | undefined> {
  const version = (await versionsOf(request, store, name)).find((one) => numberOf(one) === wanted);
  return version === undefined ? undefined : { name, version: version.id };
}

/**
 * A deleted version is a 404 with a body that says so; clients tell it from a missing one by that. Who may read values may
 * not be allowed to see more, which doesn't make a missing secret a forbidden one.
 */
async function missing(
  ...parts: readonly [
    request: DoorRequest,
    store: string,
    name: string,
    wanted: number,
    kind: 'data' | 'subkeys',
  ]
): Promise<Answer> {
  try {
    return await deletedVersion(...parts);
  } catch {
    return NOT_FOUND;
  }
}

async function deletedVersion(
  request: DoorRequest,
  store: string,
  name: string,
  wanted: number,
  kind: 'data' | 'subkeys',
): Promise<Answer> {
  const versions = await versionsOf(request, store, name);
  const version = wanted === 0 ? versions[0] : versions.find((one) => numberOf(one) === wanted);
  if (version === undefined || version.state === 'enabled') return NOT_FOUND;
  const info = await describe(request, store, name);
  const metadata = metadataOf(version, numberOf(version), info);
  return envelope(kind === 'data' ? { data: null, metadata } : { metadata, subkeys: null }, { status: 404 });
}

async function readMetadata(request: DoorRequest, store: string, name: string): Promise<Answer> {
  const info = await describe(request, store, name);
  if (info === undefined) return NOT_FOUND;
  const versions = await versionsOf(request, store, name);
  const newest = versions[0];
  const created = info.createdAt ?? versions.at(-1)?.createdAt;
  const updated = newest?.createdAt ?? info.updatedAt ?? created;
  const data: GoValue = {
    cas_required: false,
    created_time: timeOf(created),
    current_version: newest === undefined ? 0 : numberOf(newest),
    custom_metadata: labelsOf(info),
    delete_version_after: '0s',
    // Vault's own records of who wrote it; the audit log of the store has that.
    last_updated_by: null,
    max_versions: 0,
    oldest_version: 0,
    updated_time: timeOf(updated),
    versions: new Map(
      versions.map((version): readonly [string, GoValue] => [
        String(numberOf(version)),
        {
          created_by: null,
          created_time: timeOf(version.createdAt),
          deleted_by: null,
          deletion_time: deletionTime(version, info),
          destroyed: version.state === 'destroyed',
        },
      ]),
    ),
  };
  return envelope(data, { mount: 'kv' });
}

async function listNames(request: DoorRequest, store: string, path: string): Promise<Answer> {
  const folder = path === '' || path.endsWith('/') ? path : `${path}/`;
  if (!request.token.rights.mayList(store, folder)) return denied(request, 'list', store, folder);
  const keys = new Set<string>();
  for await (const { name } of request.stores.names(request.client, store, folder, request.call)) {
    const below = name.slice(folder.length);
    const slash = below.indexOf('/');
    keys.add(slash === -1 ? below : below.slice(0, slash + 1));
  }
  if (keys.size === 0) return NOT_FOUND;
  const sorted = [...keys].toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  return envelope({ keys: sorted }, { mount: 'kv' });
}

/** What versions a store has, newest first, without a pending one, which isn't for readers. */
async function versionsOf(
  { stores, client, call }: DoorRequest,
  store: string,
  name: string,
): Promise<readonly VersionInfo[]> {
  try {
    const all = await stores.versions(client, store, name, call);
    return all
      .filter(({ stages }) => !stages.includes('pending'))
      .toSorted((one, other) => numberOf(other) - numberOf(one));
  } catch (thrown) {
    const { kind } = toSecretsError(thrown);
    if (kind === 'NotFound' || kind === 'Unsupported') return [];
    throw thrown;
  }
}

function describe(
  { stores, client, call }: DoorRequest,
  store: string,
  name: string,
): Promise<SecretInfo | undefined> {
  return stores.describe(client, store, name, call).catch(ifMissing);
}

/** @throws whatever isn't a missing secret */
export function ifMissing(thrown: unknown): undefined {
  if (thrown instanceof SecretsError && thrown.kind === 'NotFound') return undefined;
  throw thrown;
}

function metadataOf(version: VersionInfo, number: number, info?: SecretInfo): GoValue {
  return {
    created_time: timeOf(version.createdAt),
    custom_metadata: info === undefined ? null : labelsOf(info),
    deletion_time: info === undefined ? '' : deletionTime(version, info),
    destroyed: version.state === 'destroyed',
    version: number,
  };
}

function deletionTime({ state, createdAt }: VersionInfo, info: SecretInfo): string {
  if (state !== 'deleted' && state !== 'disabled') return '';
  return timeOf(info.deletedAt ?? info.updatedAt ?? createdAt);
}

function labelsOf({ labels, description }: SecretInfo): GoValue {
  const all = new Map(Object.entries(labels ?? {}));
  if (description !== undefined) all.set('description', description);
  return all.size === 0 ? null : all;
}

export function timeOf(date: Date | undefined): string {
  return goTime(date ?? new Date(0));
}

function warningsOf({ from, fetchedAt }: Served, { now }: DoorRequest): readonly string[] | undefined {
  if (from !== 'stale') return undefined;
  const seconds = Math.round((now().getTime() - fetchedAt.getTime()) / 1000);
  return [`the store did not answer; this value was read ${seconds} seconds ago`];
}

/** The version of a query, as Go's ParseInt with base 0 reads it; 0 for the current one. */
function versionOf(values: readonly string[]): number | string {
  const wrong = 'Field validation failed: error converting input for field "version":';
  if (values.length > 1)
    return `${wrong} '' expected type 'int', got unconvertible type '[]string', value: '[${values.join(' ').slice(0, 200)}]'`;
  const [text = ''] = values;
  if (text === '') return 0;
  const parse = `${wrong} cannot parse '' as int: strconv.ParseInt: parsing ${goString(text.slice(0, 200))}:`;
  if (!/^[+-]?(0x[0-9a-f]+|0b[01]+|0o?[0-7]*|[1-9]\d*)$/i.test(text)) return `${parse} invalid syntax`;
  const digits = text.replace(/^[+-]/, '').replace(/^0(?=[0-7])/, '0o');
  const number = BigInt(digits) * (text.startsWith('-') ? -1n : 1n);
  if (number > 2n ** 63n - 1n || number < -(2n ** 63n)) return `${parse} value out of range`;
  return number > 0n ? Number(number) : 0;
}
