/** Principals of Conjur: hosts, users, groups and layers, which it calls roles. */
import { parsePrincipal, unknownPrincipal } from '../../core/access/principal.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { ConjurClient } from './client.ts';

const KINDS = ['host', 'user', 'group', 'layer'];
const EXAMPLES = 'host:ci/builds, user:alice, group:team or layer:web';
/** Enough to find a name that was meant. */
const LISTED = 1000;

/** @returns the full id, `account:host:ci/builds` @throws SecretsError Usage, NotFound with the nearest name */
export async function findPrincipal(
  client: ConjurClient,
  text: string,
  signal: AbortSignal,
): Promise<string> {
  const account = await client.account();
  if (text === '*')
    throw new SecretsError('Usage', '"*" is not a principal: Conjur has none for everybody', {
      hint: `such as ${EXAMPLES}`,
    });
  const own = `${account}:`;
  const wanted = parsePrincipal(text.startsWith(own) ? text.slice(own.length) : text, KINDS, EXAMPLES);
  const { kind, name } = wanted;
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..'))
    throw new SecretsError('Usage', `${kind}: the id has an empty part, or one of dots`, {
      hint: `such as ${EXAMPLES}`,
    });
  // The roles API tells of roles that the resources API hides.
  if ((await client.json(['roles', kind, name], signal)) === undefined) {
    const listed = await client
      .json(['resources', kind, '', `?limit=${LISTED}`], signal)
      .catch(() => undefined);
    throw unknownPrincipal('Conjur', wanted, idsIn(listed));
  }
  return `${account}:${kind}:${name}`;
}

/** `host:ci/builds` */
export function titleOf(full: string): string {
  return full.slice(full.indexOf(':') + 1);
}

function idsIn(listed: JsonValue | undefined): readonly string[] {
  const list: readonly JsonValue[] = Array.isArray(listed) ? listed : [];
  return list.map((one) => (isJsonObject(one) ? String(one['id']).split(':').slice(2).join(':') : ''));
}
