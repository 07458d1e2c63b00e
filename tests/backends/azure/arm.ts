/**
 * A double of Azure Resource Manager, as far as vaults and role assignments go. Sources:
 * https://learn.microsoft.com/rest/api/authorization/role-assignments and
 * https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
 */
import type { Entra, Token } from './entra.ts';
import type { Vault } from './vault.ts';

export const ARM_HOST = 'management.azure.com';
export const SUBSCRIPTION = '33333333-3333-4333-8333-333333333333';
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/tests`;
const ASSIGNMENTS = '/providers/Microsoft.Authorization/roleAssignments';
const PAGE = 2;

export interface RoleAssignment {
  readonly id: string;
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

export class Arm {
  /** Object ids of those who may read resources and change role assignments. */
  readonly administrators = new Set<string>();
  /** By path, in lower case. */
  readonly assignments = new Map<string, RoleAssignment>();
  /** Object id → its kind, of everybody in the tenant. */
  readonly directory = new Map<string, string>();
  /** Group → its members. */
  readonly members = new Map<string, readonly string[]>();
  /** Vaults whose permission model is access policies. */
  readonly withPolicies = new Set<string>();
  /** Awaited before each change. */
  pausing: (() => Promise<void>) | undefined;

  /** The roles that an assignment gives on a secret, by their ids. */
  rolesOn(vault: string, secret: string, objectId: string): readonly string[] {
    const place = `${vaultId(vault)}/secrets/${secret}`.toLowerCase();
    return [...this.assignments.values()]
      .filter(({ properties: { scope = '', principalId = '' } }) => {
        const isFor = principalId === objectId || this.members.get(principalId)?.includes(objectId) === true;
        return isFor && isWithin(place, scope.toLowerCase());
      })
      .map(({ properties }) => properties['roleDefinitionId']?.split('/').at(-1) ?? '');
  }

  async handle(
    method: string,
    url: URL,
    entra: Entra,
    vaults: readonly Vault[],
    call: { readonly authorization: string | undefined; readonly body: string },
  ): Promise<Answer> {
    const token = entra.verify(/^Bearer (.+)$/.exec(call.authorization ?? '')?.[1] ?? '');
    if (token?.audience !== `https://${ARM_HOST}`)
      return refuse(401, 'InvalidAuthenticationToken', 'The access token is invalid.');
    if (!url.searchParams.has('api-version'))
      return refuse(400, 'MissingApiVersionParameter', 'The api-version query parameter is required.');
    const path = decodeURIComponent(url.pathname);
    if (path === '/subscriptions')
      return { status: 200, body: { value: this.#sees(token) ? [{ subscriptionId: SUBSCRIPTION }] : [] } };
    if (!this.#sees(token))
      return refuse(
        403,
        'AuthorizationFailed',
        `The client with object id '${token.objectId}' does not have authorization to perform action over scope '${path}'.`,
      );
    const filter = url.searchParams.get('$filter') ?? '';
    if (path === `/subscriptions/${SUBSCRIPTION}/resources`) {
      const [, name = ''] = /name eq '([^']*)'/.exec(filter) ?? [];
      const found = vaults.filter(
        ({ options }) => options.name === name && options.suffix === 'vault.azure.net',
      );
      return { status: 200, body: { value: found.map(() => ({ id: vaultId(name), name })) } };
    }
    const [, scope = '', name] =
      /^(.*)\/providers\/Microsoft\.Authorization\/roleAssignments(?:\/([^/]+))?$/.exec(path) ?? [];
    if (scope === '') return this.#vault(path, vaults);
    if (name === undefined) return this.#list(url, scope.toLowerCase(), filter);
    if (method !== 'GET') await this.pausing?.();
    return this.#one(method, `${scope}${ASSIGNMENTS}/${name}`, scope, name, call.body);
  }

  #sees({ objectId }: Token): boolean {
    return this.administrators.has(objectId);
  }

  #vault(path: string, vaults: readonly Vault[]): Answer {
    const vault = vaults.find(({ options }) => vaultId(options.name).toLowerCase() === path.toLowerCase());
    if (vault === undefined) return refuse(404, 'ResourceNotFound', 'The resource was not found.');
    const enableRbacAuthorization = !this.withPolicies.has(vault.options.name);
    return { status: 200, body: { id: path, properties: { enableRbacAuthorization, vaultUri: vault.url } } };
  }

  #list(url: URL, scope: string, filter: string): Answer {
    const found = [...this.assignments.values()].filter(({ properties }) => {
      const own = (properties['scope'] ?? '').toLowerCase();
      return isWithin(scope, own) || (filter === '' && isWithin(own, scope));
    });
    const from = Number(url.searchParams.get('$skipToken') ?? 0);
    const next = new URL(url.pathname + url.search, `https://${ARM_HOST}`);
    next.searchParams.set('$skipToken', String(from + PAGE));
    const isMore = found.length > from + PAGE;
    return {
      status: 200,
      body: { value: found.slice(from, from + PAGE), ...(isMore && { nextLink: next.href }) },
    };
  }

  #one(method: string, path: string, scope: string, name: string, body: string): Answer {
    const key = path.toLowerCase();
    const there = this.assignments.get(key);
    if (method === 'GET')
      return there === undefined
        ? refuse(404, 'RoleAssignmentNotFound', `The role assignment '${name}' is not found.`)
        : { status: 200, body: there };
    if (method === 'DELETE') {
      this.assignments.delete(key);
      return there === undefined ? { status: 204 } : { status: 200, body: there };
    }
    if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(name))
      return refuse(400, 'InvalidRoleAssignmentId', `The role assignment ID '${name}' is not valid.`);
    const { properties } = JSON.parse(body) as { readonly properties: Readonly<Record<string, string>> };
    const { principalId = '', principalType, roleDefinitionId } = properties;
    if (this.directory.get(principalId) === undefined)
      return refuse(400, 'PrincipalNotFound', `Principal ${principalId} does not exist in the directory.`);
    if (principalType !== undefined && this.directory.get(principalId) !== principalType)
      return refuse(400, 'UnmatchedPrincipalType', `The principal ${principalId} has another type.`);
    const isTwin = [...this.assignments].some(
      ([other, { properties: one }]) =>
        other !== key &&
        one['principalId'] === principalId &&
        one['roleDefinitionId'] === roleDefinitionId &&
        one['scope']?.toLowerCase() === scope.toLowerCase(),
    );
    if (isTwin) return refuse(409, 'RoleAssignmentExists', 'The role assignment already exists.');
    const made = { id: path, name, properties: { ...properties, scope } };
    this.assignments.set(key, made);
    return { status: there === undefined ? 201 : 200, body: made };
  }
}

export function vaultId(name: string): string {
  return `${GROUP}/providers/Microsoft.KeyVault/vaults/${name}`;
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}

function refuse(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}
