/** sys: health, mounts, capabilities and leases. */
import { createHash, randomUUID } from 'node:crypto';
import { type Answer, envelope, failed, json, NOT_ALLOWED } from './answers.ts';
import type { GoValue } from './go-json.ts';
import { type Mount, mountAt } from './paths.ts';
import { type DoorRequest, field } from './request.ts';
import { DEFAULT_POLICY, READ_POLICY, type Rights } from './scope.ts';
import type { Token } from './tokens.ts';

/** The version that the door answers like; clients switch features by it. */
export const VAULT_VERSION = '1.21.0';
const CLUSTER = 'secrets-agent';
const CLUSTER_ID = randomUUID();
/** Vault's default, 32 days: only shown. */
const DEFAULT_LEASE = 2_764_800;

export function health(now: Date): Answer {
  return json({
    initialized: true,
    sealed: false,
    standby: false,
    performance_standby: false,
    replication_performance_mode: 'disabled',
    replication_dr_mode: 'disabled',
    server_time_utc: Math.floor(now.getTime() / 1000),
    version: VAULT_VERSION,
    enterprise: false,
    cluster_name: CLUSTER,
    cluster_id: CLUSTER_ID,
    echo_duration_ms: 0,
    clock_skew_ms: 0,
    replication_primary_canary_age_ms: 0,
  });
}

export function sealStatus(startedAt: Date): Answer {
  return json({
    type: 'shamir',
    initialized: true,
    sealed: false,
    t: 1,
    n: 1,
    progress: 0,
    nonce: '',
    version: VAULT_VERSION,
    build_date: startedAt.toISOString().replace(/\.\d+Z$/, 'Z'),
    migration: false,
    cluster_name: CLUSTER,
    cluster_id: CLUSTER_ID,
    recovery_seal: false,
  });
}

/** `vault status` asks for it after the seal. One server alone has no leader. */
export function leader(): Answer {
  return json({
    ha_enabled: false,
    is_self: false,
    active_time: '0001-01-01T00:00:00Z',
    leader_address: '',
    leader_cluster_address: '',
    performance_standby: false,
    performance_standby_last_remote_wal: 0,
  });
}

/** A stable id for a mount: clients compare it, nobody looks it up. */
function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function mountInfo({ path, version }: Mount, withPath: boolean): ReadonlyMap<string, GoValue> {
  const id = idOf(path);
  return new Map<string, GoValue>([
    ['accessor', `kv_${id.slice(0, 8)}`],
    ['config', { default_lease_ttl: DEFAULT_LEASE, force_no_cache: false, max_lease_ttl: DEFAULT_LEASE }],
    ['deprecation_status', 'supported'],
    ['description', ''],
    ['external_entropy_access', false],
    ['local', false],
    ['options', { version: String(version) }],
    ['plugin_version', ''],
    ['running_plugin_version', 'v0.25.0+builtin'],
    ['running_sha256', ''],
    ['seal_wrap', false],
    ['type', 'kv'],
    ['uuid', id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')],
    ...(withPath ? [['path', path] as const] : []),
  ]);
}

/** The mounts that a token may use anything of; none without a token. */
export function mountList(mounts: readonly Mount[], token: Token | undefined): Answer {
  const seen = token === undefined ? [] : mounts.filter(({ store }) => token.rights.mayUse(store));
  const secret = new Map(seen.map((mount) => [mount.path, mountInfo(mount, false)]));
  return envelope({ auth: new Map<string, GoValue>(), secret });
}

/** The mount of a path. Clients decide by it whether they speak KV version 1 or 2. */
export function oneMount({ token }: DoorRequest, mounts: readonly Mount[], path: string): Answer {
  if (path === '') return failed(404, 'unsupported path');
  const found = mountAt(mounts, path);
  if (found !== undefined && token.rights.mayUse(found.mount.store))
    return envelope(mountInfo(found.mount, true));
  const shown = path.endsWith('/') ? path : `${path}/`;
  return failed(
    403,
    `preflight capability check returned 403, please ensure client's policies grant access to path "${shown}"`,
  );
}

/** What Vault's policy `default` allows, of what is here. */
const DEFAULT_RIGHTS: Readonly<Record<string, readonly string[]>> = {
  'auth/token/lookup-self': ['read'],
  'auth/token/renew-self': ['update'],
  'auth/token/revoke-self': ['update'],
  'sys/capabilities-self': ['update'],
  'sys/leases/renew': ['update'],
  'sys/leases/lookup': ['update'],
};

export function capabilitiesSelf({ method, token, body }: DoorRequest, mounts: readonly Mount[]): Answer {
  if (method !== 'POST' && method !== 'PUT') return NOT_ALLOWED;
  const paths = pathsOf(field(body, 'paths') ?? field(body, 'path'));
  if (paths.length === 0) return failed(400, 'paths must be supplied');
  if (paths.length > 1000) return failed(400, 'too many paths');
  const found = new Map<string, GoValue>(paths.map((path) => [path, capabilities(token, mounts, path)]));
  if (paths.length === 1) found.set('capabilities', found.get(paths[0] ?? '') ?? []);
  const sorted = Object.fromEntries([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  return envelope(found, { mount: 'system', beside: sorted });
}

function pathsOf(asked: unknown): readonly string[] {
  const texts = typeof asked === 'string' ? asked.split(',') : Array.isArray(asked) ? asked : [];
  return texts.map(String).filter((text) => text !== '');
}

function capabilities(token: Token, mounts: readonly Mount[], path: string): readonly string[] {
  const clean = path.replace(/^\/+/, '');
  if (token.policies.includes(DEFAULT_POLICY)) {
    const known = Object.hasOwn(DEFAULT_RIGHTS, clean) ? DEFAULT_RIGHTS[clean] : undefined;
    if (known !== undefined) return known;
  }
  if (clean === 'auth/token/create' && token.policies.includes(READ_POLICY)) return ['create', 'update'];
  const found = mountAt(mounts, clean);
  const rights = found === undefined ? [] : rightsAt(token.rights, found.mount, found.rest);
  return rights.length === 0 ? ['deny'] : rights;
}

function rightsAt(rights: Rights, { store, version }: Mount, rest: string): readonly string[] {
  const kind = version === 1 ? '' : (rest.split('/', 1)[0] ?? '');
  const name = version === 1 ? rest : rest.slice(kind.length + 1);
  const folder = name === '' || name.endsWith('/') ? name : `${name}/`;
  const mayWrite = (version === 1 || kind === 'data') && rights.mayWrite(store, name);
  const mayRead = rights.mayRead(store, name.replace(/\/$/, ''));
  const mayList = rights.mayList(store, folder);
  return [
    ...(mayWrite ? ['create'] : []),
    ...(mayList ? ['list'] : []),
    ...(mayRead ? ['read'] : []),
    ...(mayWrite ? ['update'] : []),
  ];
}

/** What is here has no leases. */
export function leases({ method, path, body }: DoorRequest): Answer {
  const isWrite = method === 'POST' || method === 'PUT';
  if (!isWrite) return NOT_ALLOWED;
  const [, , call, ...rest] = path.split('/');
  const id = rest.length > 0 ? rest.join('/') : field(body, 'lease_id');
  if (call !== 'renew' && call !== 'lookup') return NOT_ALLOWED;
  if (typeof id !== 'string' || id === '') return failed(400, 'lease_id must be specified');
  return failed(400, call === 'renew' ? 'lease not found' : 'invalid lease');
}
