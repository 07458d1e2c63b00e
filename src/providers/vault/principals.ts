/** Principals of Vault: entities and groups of its identity store, and roles and users of auth methods. */
import { parsePrincipal, type Principal, unknownPrincipal } from '../../core/access/principal.ts';
import { SecretsError } from '../../core/errors.ts';
import type { VaultClient } from './client.ts';
import { asMap, type Json } from './errors.ts';

export interface VaultPrincipal {
  /** `entity:alice`, `approle:ci`, `userpass:team/alice` with the auth method's mount. */
  readonly title: string;
  /** Stays the same when the principal is renamed, as far as Vault has such an id. */
  readonly id: string;
  readonly kind: 'entity' | 'group' | 'role';
  /** The path of its own settings. */
  readonly path: string;
  readonly data: Json;
  /** For roles: the auth method’s mount, and the name there. */
  readonly at?: { readonly mount: string; readonly name: string };
}

const KINDS = ['entity', 'group', 'approle', 'userpass', 'role', 'user'];
const EXAMPLES = 'approle:ci, userpass:alice, entity:alice or group:team';
/** Where each auth method keeps what signs in. */
const FOLDERS: Readonly<Record<string, string>> = { approle: 'role', userpass: 'users' };
/** The usual words for the kinds. */
const SHORT: Readonly<Record<string, string>> = { role: 'approle', user: 'userpass' };

/** @throws SecretsError Usage, NotFound with the nearest name */
export async function findPrincipal(
  client: VaultClient,
  text: string,
  signal: AbortSignal,
): Promise<VaultPrincipal> {
  if (text === '*')
    throw new SecretsError('Usage', '"*" is not a principal: Vault has none for everybody', {
      hint: `such as ${EXAMPLES}`,
    });
  const parsed = parsePrincipal(text, KINDS, EXAMPLES);
  const kind = SHORT[parsed.kind] ?? parsed.kind;
  return kind === 'entity' || kind === 'group'
    ? identity(client, { kind, name: parsed.name }, signal)
    : role(client, { kind, name: parsed.name }, signal);
}

async function identity(
  client: VaultClient,
  wanted: Principal,
  signal: AbortSignal,
): Promise<VaultPrincipal> {
  const { kind, name } = wanted;
  const byName = `identity/${kind}/name/${encodeURIComponent(name)}`;
  let found = await client.read(byName, signal);
  if (!found.found && /^[0-9a-f-]{36}$/.test(name))
    found = await client.read(`identity/${kind}/id/${name}`, signal);
  const data = asMap(found.body['data']);
  if (!found.found || typeof data['id'] !== 'string')
    throw unknownPrincipal('Vault', wanted, await namesIn(client, `identity/${kind}/name`, signal));
  return {
    kind: kind === 'group' ? 'group' : 'entity',
    title: `${kind}:${String(data['name'])}`,
    id: `${kind}:${data['id']}`,
    path: `identity/${kind}/id/${data['id']}`,
    data,
  };
}

async function role(client: VaultClient, wanted: Principal, signal: AbortSignal): Promise<VaultPrincipal> {
  const { kind } = wanted;
  const cut = wanted.name.lastIndexOf('/');
  // Neither method looks at case: two spellings are one principal, and its grants must have one name.
  const name = wanted.name.slice(cut + 1).toLowerCase();
  const mount = cut === -1 ? kind : wanted.name.slice(0, cut);
  if ([...mount.split('/'), name].some((part) => part === '' || part === '.' || part === '..'))
    throw new SecretsError('Usage', `${kind}: the name is empty, or its mount is not a path`, {
      hint: `such as ${EXAMPLES}`,
    });
  const folder = `auth/${encoded(mount)}/${FOLDERS[kind] as string}`;
  const path = `${folder}/${encodeURIComponent(name)}`;
  const { found, body } = await client.read(path, signal);
  if (!found) throw unknownPrincipal('Vault', { kind, name }, await namesIn(client, folder, signal));
  const title = mount === kind ? `${kind}:${name}` : `${kind}:${mount}/${name}`;
  return {
    kind: 'role',
    title,
    id: `auth/${mount}/${name}`,
    path,
    data: asMap(body['data']),
    at: { mount, name },
  };
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

async function namesIn(client: VaultClient, path: string, signal: AbortSignal): Promise<readonly string[]> {
  return client.keys(path, signal).catch(() => []);
}

/** The texts of a list in a response, in its order. */
export function textsIn(data: Json, field: string): readonly string[] {
  const list = data[field];
  return Array.isArray(list) ? list.map(String) : [];
}
