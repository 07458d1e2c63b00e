/**
 * Grants in Azure: role assignments of Key Vault Secrets User at one secret. The name of each is made from the secret,
 * the principal and the role, so that granting twice is one assignment, and others' assignments are told from ours.
 */
import {
  type AccessEntry,
  accessPlan,
  type AccessPlan,
  type AccessVerdict,
  type AccessWish,
  digestOf,
} from '../../core/access/plan.ts';
import { parsePrincipal } from '../../core/access/principal.ts';
import { changedMeanwhile, notAsWritten, refuseThrough, refuseUntil } from '../../core/access/refusals.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { isJsonObject } from '../../core/json.ts';
import type { CallOptions } from '../call.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { Arm, JsonObject } from './arm.ts';
import type { AzureService } from './service.ts';
import type { KeyVault } from './vault.ts';

const USER = '4633458b-17de-408a-b874-0445c86b69e6';
/** Built-in roles that may read values. Source: https://learn.microsoft.com/azure/key-vault/general/rbac-guide */
const READERS: Readonly<Record<string, string>> = {
  [USER]: 'Key Vault Secrets User',
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7': 'Key Vault Secrets Officer',
  '00482a5a-887f-4fb3-b363-3b7fe8e74483': 'Key Vault Administrator',
};
const DESCRIPTION = 'Written by secrets access grant';
const KINDS: Readonly<Record<string, string>> = { user: 'User', group: 'Group', sp: 'ServicePrincipal' };
const EXAMPLES = 'user:OBJECT-ID, group:OBJECT-ID or sp:OBJECT-ID';
const GUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** No secret has it: the answer tells whether the caller may read, without a value. */
const NO_VERSION = '0'.repeat(32);

export interface AccessPlace {
  readonly service: AzureService;
  readonly vault: KeyVault;
  readonly arm: Arm;
  /** The vault's name. */
  readonly title: string;
  toAzure(name: string): string;
  fromAzure(name: string): string | undefined;
}

interface Principal {
  readonly title: string;
  readonly id: string;
  readonly type: string;
}

/** A role assignment as far as it matters. */
interface Assignment {
  readonly name: string;
  readonly scope: string;
  readonly role: string;
  readonly principalId: string;
  readonly principalType: string;
  readonly condition: string | undefined;
  readonly description: string | undefined;
}

export class AzureAccess implements AccessControl {
  readonly #place: AccessPlace;
  #vaultId: Promise<string> | undefined;

  constructor(place: AccessPlace) {
    this.#place = place;
  }

  async plan(wish: AccessWish, { signal }: CallOptions): Promise<AccessPlan> {
    refuseUntil(
      wish,
      'Azure’s role assignments don’t end by themselves',
      'omit --for, or use Privileged Identity Management',
    );
    refuseThrough(wish, 'Azure has one kind of grant for secrets');
    const principal = principalOf(wish.principal);
    const scope = await this.#scope(wish.name, signal);
    const path = pathOf(scope, principal);
    const now = await this.#read(path, signal);
    const wanted = propertiesFor(scope, principal);
    if (now !== undefined && now !== textOf(wanted))
      throw notAsWritten(`the role assignment ${path.split('/').at(-1)}`, 'az role assignment list --scope');
    // Azure refuses a second assignment of the same role, and one of others is theirs to remove.
    const foreign =
      now === undefined
        ? (await this.#at(scope, signal)).find(
            (one) => one.principalId === principal.id && one.role === USER && same(one.scope, scope),
          )
        : undefined;
    if (wish.change === 'grant' && foreign?.condition !== undefined)
      throw new SecretsError('Conflict', 'somebody else has assigned this role with a condition', {
        hint: 'see whether it holds: az role assignment list --scope',
      });
    const after = foreign !== undefined ? now : wish.change === 'grant' ? textOf(wanted) : undefined;
    return accessPlan({
      wish,
      principal: principal.title,
      edits: [{ place: path, before: now, after }],
      notes: ['Azure can take some minutes until a change of role assignments is in effect'],
    });
  }

  async apply({ edits }: AccessPlan, { signal }: CallOptions): Promise<void> {
    for (const { place, before, after } of edits) {
      if ((await this.#read(place, signal)) !== before) throw changedMeanwhile(place);
      if (after === undefined) await this.#place.arm.unassign(place, signal);
      else await this.#place.arm.assign(place, JSON.parse(after) as JsonObject, signal);
    }
  }

  settles(): undefined {
    return undefined;
  }

  async ownAccess(name: string, { signal }: CallOptions): Promise<AccessVerdict['verdict']> {
    try {
      await this.#place.vault.get(this.#place.toAzure(name), NO_VERSION, signal);
      return 'allowed';
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind === 'NotFound' || kind === 'Invalid') return 'allowed';
      if (kind === 'Denied') return 'denied';
      throw thrown;
    }
  }

  async list(name: string | undefined, { signal }: CallOptions): Promise<readonly AccessEntry[]> {
    const root = await this.#root(signal);
    const scope = name === undefined ? root : await this.#scope(name, signal);
    const found = name === undefined ? await this.#below(root, signal) : await this.#at(scope, signal);
    return found.flatMap((one) => {
      const title = READERS[one.role];
      const [, secret] = /\/secrets\/([^/]+)$/i.exec(one.scope) ?? [];
      const ours = secret !== undefined && one.name === nameOf(one.scope, one.principalId);
      if (title === undefined || (name === undefined && !ours)) return [];
      const kind = Object.keys(KINDS).find((key) => KINDS[key] === one.principalType) ?? one.principalType;
      return {
        secret: name ?? this.#place.fromAzure(secret ?? '') ?? secret ?? '',
        principal: `${kind}:${one.principalId}`,
        ours,
        through: secret === undefined ? `${title} at ${one.scope || '/'}` : title,
        breadth: 'named' as const,
        ...(one.condition !== undefined && { conditional: true }),
      };
    });
  }

  async check(name: string, text: string, { signal }: CallOptions): Promise<AccessVerdict> {
    if (text === 'self') {
      const verdict = await this.ownAccess(name, { signal });
      const { principal } = await this.#place.service.identity(signal);
      return { principal, verdict, why: 'a request for a version that no secret has', by: 'service' };
    }
    const principal = principalOf(text);
    const scope = await this.#scope(name, signal);
    const answer = { principal: principal.title, by: 'policies' as const };
    for (const one of await this.#at(scope, signal)) {
      const title = READERS[one.role];
      if (one.principalId !== principal.id || title === undefined || one.condition !== undefined) continue;
      return {
        ...answer,
        verdict: 'allowed',
        why: `${title} at ${one.scope || '/'}, unless a deny assignment forbids it`,
      };
    }
    const why = 'no built-in role of its own lets it read; groups and custom roles may';
    return { ...answer, verdict: 'unknown', why };
  }

  #root(signal: AbortSignal): Promise<string> {
    this.#vaultId ??= this.#place.arm.vaultId(this.#place.title, signal).catch((thrown: unknown) => {
      this.#vaultId = undefined;
      throw thrown;
    });
    return this.#vaultId;
  }

  async #scope(name: string, signal: AbortSignal): Promise<string> {
    const azureName = this.#place.toAzure(name);
    return `${await this.#root(signal)}/secrets/${azureName}`;
  }

  async #at(scope: string, signal: AbortSignal): Promise<readonly Assignment[]> {
    return (await this.#place.arm.assignments(scope, 'atScope()', signal)).map((one) => assignmentOf(one));
  }

  async #below(scope: string, signal: AbortSignal): Promise<readonly Assignment[]> {
    return (await this.#place.arm.assignments(scope, undefined, signal)).map((one) => assignmentOf(one));
  }

  async #read(path: string, signal: AbortSignal): Promise<string | undefined> {
    const found = await this.#place.arm.assignment(path, signal);
    if (found === undefined) return undefined;
    const { role, principalId, principalType, condition, description, scope } = assignmentOf(found);
    return textOf({
      roleDefinitionId: roleId(scope, role),
      principalId,
      principalType,
      ...(description !== undefined && { description }),
      ...(condition !== undefined && { condition }),
    });
  }
}

function principalOf(text: string): Principal {
  if (text === '*')
    throw new SecretsError('Usage', '"*" is not a principal: Azure has none for everybody', {
      hint: `such as ${EXAMPLES}`,
    });
  const { kind, name } = parsePrincipal(text, Object.keys(KINDS), EXAMPLES);
  const id = name.toLowerCase();
  if (!GUID.test(id))
    throw new SecretsError('Usage', `${kind}: Azure assigns roles to object ids, and this is none`, {
      hint: `az ad ${kind} show prints the id`,
    });
  return { title: `${kind}:${id}`, id, type: KINDS[kind] as string };
}

/** The same UUID for the same secret, principal and role. Resource ids are the same in any case of letters. */
function nameOf(scope: string, principalId: string): string {
  const digits = digestOf(`${scope.toLowerCase()}\n${principalId}\n${USER}`, 32).split('');
  // RFC 9562: version 8, for digests of one's own, and the variant.
  digits[12] = '8';
  digits[16] = '89ab'[Number.parseInt(digits[16] as string, 16) % 4] as string;
  return digits.join('').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function pathOf(scope: string, { id }: Principal): string {
  return `${scope}/providers/Microsoft.Authorization/roleAssignments/${nameOf(scope, id)}`;
}

function propertiesFor(scope: string, { id, type }: Principal): JsonObject {
  return {
    roleDefinitionId: roleId(scope, USER),
    principalId: id,
    principalType: type,
    description: DESCRIPTION,
  };
}

function roleId(scope: string, role: string): string {
  const subscription = /^\/subscriptions\/[^/]+/i.exec(scope)?.[0] ?? '';
  return `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${role}`;
}

function textOf(properties: JsonObject): string {
  return JSON.stringify(properties, null, 2);
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function assignmentOf(found: JsonObject): Assignment {
  const properties = isJsonObject(found['properties'] ?? null) ? (found['properties'] as JsonObject) : {};
  const text = (field: string): string => (typeof properties[field] === 'string' ? properties[field] : '');
  return {
    name: String(found['name']).toLowerCase(),
    scope: text('scope').replace(/^\/$/, ''),
    role: text('roleDefinitionId').split('/').at(-1)?.toLowerCase() ?? '',
    principalId: text('principalId').toLowerCase(),
    principalType: text('principalType'),
    condition: text('condition') || undefined,
    description: text('description') || undefined,
  };
}
