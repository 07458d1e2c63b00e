/**
 * Who a process would be for a store, and how it would record: a running agent answers only for a client that would be
 * the same. Both sides compute this the same way. Loaded only if there is an agent.
 */
import { hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { AuditSettings } from '../audit/log/settings.ts';
import type { AgentIdentity } from '../core/agent/messages.ts';
import type { JsonValue } from '../core/json.ts';
import type { StoreSettings } from '../core/trust.ts';
import { version } from '../core/version.ts';
import type { World } from '../platform/world.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';

/**
 * The variables that a sign-in, an address or a connection may depend on, by their families: secret managers and their
 * libraries read more of them than anybody lists, and a variable that makes no difference only costs the detour.
 * tests/session compares it with what the providers read.
 */
const FAMILIES =
  /^(AWS|AMAZON|AZURE|ARM|MSI|IDENTITY|IMDS|KEY_VAULT|GOOGLE|GCLOUD|GCP|GCE|CLOUDSDK|METADATA|VAULT|BAO|CONJUR|CONJURRC|JWT|SECRETS|KUBERNETES|NODE|SSL|OPENSSL|APPDATA)(_|$)|^ACTIONS_ID_TOKEN_|^XDG_(CONFIG|DATA|STATE|CACHE)_HOME$|^(USERPROFILE|HOMEDRIVE|HOMEPATH)$|_proxy$/i;
/** Of those, what doesn't reach a store: its effect is in the settings, or in the request. */
const NO_MATTER =
  /^(SECRETS_(AGENT|REASON|PROFILE|CONFIG|TRUSTED|COMPLETION_CACHE)|AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED)$/;
/** How long a sign-in counts that another program has and that shows in no known file. */
const ELSEWHERE_MS = 5 * 60_000;
/** No configuration is larger; whatever else is at its path isn't read. */
const MOST_CONFIG_BYTES = 1024 * 1024;
/** A variable with the path of a file that a sign-in reads. */
const PATH_NAME = /(FILE|PATH|CREDENTIALS|CACERT|CAPATH|CERT|KEY|BUNDLE|CONFIG|CONJURRC|IDENTITY)$/;

/** A variable that counts for one request only: it is sent with a plain `get`. */
export function isOfRequest(name: string): boolean {
  return NO_MATTER.test(name);
}

export function mattersToStores(name: string): boolean {
  return FAMILIES.test(name) && !NO_MATTER.test(name);
}

/** A digest, not the variables: what listens on the socket learns nothing it doesn't have. */
export function agentIdentity(world: World, audit: AuditSettings): AgentIdentity {
  const { path, key, rotateSize, keepMs, keepFiles } = audit;
  return {
    ...clientIdentity(world),
    log: digest([path, key ?? null, rotateSize ?? null, keepMs ?? null, keepFiles ?? null]),
  };
}

/** What is known of a client before it has read a configuration. */
export function clientIdentity({
  env,
  home,
  uid,
}: Pick<World, 'env' | 'home' | 'uid'>): Omit<AgentIdentity, 'log'> {
  return { version, home, environment: digest([uid ?? null, ...relevant(env)]) };
}

/**
 * What this process sees of the file system and may open there, as far as it can be told: the mount namespace, the root
 * and this folder, and the groups.
 * @throws system errors if the folder isn't there
 */
export function placeOf(cwd: string): string {
  let mounts = '';
  try {
    mounts = readlinkSync('/proc/self/ns/mnt');
  } catch {
    // Not on Linux.
  }
  const [root, here] = [statSync('/'), statSync(cwd)];
  const groups = [...(process.getgroups?.() ?? [])].sort((one, other) => one - other);
  return [mounts, root.dev, root.ino, here.dev, here.ino, process.getegid?.(), groups.join()].join(' ');
}

function relevant(env: World['env']): [string, string][] {
  return Object.entries(env)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && mattersToStores(entry[0]))
    .sort(([one], [other]) => (one < other ? -1 : 1));
}

interface CredentialFiles {
  readonly world: Pick<World, 'env' | 'home' | 'cwd'>;
  readonly descriptor: ProviderDescriptor | undefined;
  readonly settings: StoreSettings;
  readonly now?: number | undefined;
}

/**
 * The state of the files that say who the user is: a new sign-in (`aws configure`, `vault login`) changes it. Not their
 * content, which would have to be read each time.
 */
export function credentialState({ world, descriptor, settings, now = Date.now() }: CredentialFiles): string {
  const { env, home, cwd } = world;
  const expand = (path: string): string => resolve(cwd, path.replace(/^~(?=\/|$)/, home));
  const named = relevant(env)
    .filter(([name, value]) => PATH_NAME.test(name) && value.length < 4096)
    .map(([, value]) => expand(value));
  const place = { env, home, read: (path: string) => textOf(expand(path)) };
  const usual = descriptor?.credentialFiles?.(place).map(expand).flatMap(each) ?? [];
  const paths = new Set([...named, ...usual, ...pathsIn(settings).map(expand)]);
  const isElsewhere = descriptor?.signsInElsewhere?.(place, settings) === true;
  return digest([
    ...[...paths].sort().map((path) => [path, stateOf(path)]),
    ...(isElsewhere ? [Math.floor(now / ELSEWHERE_MS)] : []),
  ]);
}

/** The files that a path with `/*` at its end means. */
function each(path: string): readonly string[] {
  if (!path.endsWith('/*')) return [path];
  const folder = path.slice(0, -2);
  try {
    return readdirSync(folder).map((name) => `${folder}/${name}`);
  } catch {
    return [];
  }
}

function textOf(path: string): string | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    // A pipe would keep the agent waiting for whoever writes to it, and take what it writes from the library.
    return stats?.isFile() === true && stats.size <= MOST_CONFIG_BYTES
      ? readFileSync(path, 'utf8')
      : undefined;
  } catch {
    return undefined;
  }
}

/** Paths among the settings: relative ones have been made absolute. */
function pathsIn(value: JsonValue): readonly string[] {
  if (typeof value === 'string') return /^(\/|~\/)/.test(value) ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(pathsIn) : [];
}

function stateOf(path: string): string {
  try {
    const link = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (link === undefined) return '';
    const { mtimeNs, ctimeNs, size, ino } = link.isSymbolicLink() ? statSync(path, { bigint: true }) : link;
    return [mtimeNs, ctimeNs, size, ino].join(' ');
  } catch {
    return '';
  }
}

function digest(parts: unknown): string {
  // Shortened: enough to compare, and of less use to whoever would guess a password from it.
  return hash('sha256', `secrets agent\n${JSON.stringify(parts)}`, 'hex').slice(0, 32);
}
