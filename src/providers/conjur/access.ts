/**
 * Grants in Conjur. Each grant is a group of its own, declared in the policy of the variable: it is permitted `execute`
 * on that variable, and its one member is the principal. So two grants never edit the same record, what others have
 * permitted stays as it is, and a revocation deletes the group with its permission and its membership in one document.
 *
 * Sources: the resources, roles and policies APIs in CyberArk's OpenAPI documents.
 */
import {
  type AccessEntry,
  accessPlan,
  type AccessPlan,
  type AccessVerdict,
  type AccessWish,
  digestOf,
} from '../../core/access/plan.ts';
import { changedMeanwhile, notAsWritten, refuseThrough, refuseUntil } from '../../core/access/refusals.ts';
import { SecretsError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import type { CallOptions } from '../call.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { ConjurClient } from './client.ts';
import { type RecordId, type Statement, writePolicy } from './policy.ts';
import { findPrincipal, titleOf } from './principals.ts';
import { notConjur } from './variable.ts';

/** What the ids of our groups start with. */
const OURS = 'secrets-access-';
/** The annotation with what a group is for. */
const RECORD = 'secrets/grant';
const DESCRIPTION = 'Written by secrets access grant; secrets access revoke deletes it.';
/** Reading a value takes this privilege and no other. */
const PRIVILEGE = 'execute';
const PAGE = 1000;

/** A variable as far as access to it matters. Roles are full ids: `account:host:app`. */
interface Guarded {
  readonly name: string;
  readonly branch: string;
  readonly owner: string;
  /** `undefined` once the caller may no longer see them. */
  readonly permits: readonly { readonly role: string; readonly privilege: string }[] | undefined;
}

/** What a group of ours says about itself. */
interface Written {
  readonly variable: string;
  readonly principal: string;
}

export class ConjurAccess implements AccessControl {
  readonly #client: ConjurClient;
  readonly #checkName: (name: string) => void;
  /** Variables that were seen: whoever takes its own access away has to undo that without seeing them. */
  readonly #seen = new Map<string, Guarded>();

  constructor(client: ConjurClient, checkName: (name: string) => void) {
    this.#client = client;
    this.#checkName = checkName;
  }

  async plan(wish: AccessWish, { signal }: CallOptions): Promise<AccessPlan> {
    refuseUntil(
      wish,
      'Conjur has no grants that end by themselves',
      'omit --for, and revoke the grant later',
    );
    refuseThrough(wish, 'Conjur has one kind of policy for secrets');
    const variable = await this.#variable(wish.name, signal);
    const role = await findPrincipal(this.#client, wish.principal, signal);
    const group = groupFor(variable, role);
    const text = writePolicy(statementsFor(variable, { group, role }));
    const now = await this.#read(variable, { group, role }, signal);
    if (now !== undefined && now !== text)
      throw notAsWritten(
        `the group ${group}`,
        `conjur role members -i group:${fullId(variable.branch, group)}`,
      );
    const after = wish.change === 'grant' ? text : undefined;
    return accessPlan({
      wish,
      principal: titleOf(role),
      edits: [{ place: placeOf(variable.branch, group), before: now, after }],
      notes: [],
    });
  }

  async apply({ wish, edits }: AccessPlan, { signal }: CallOptions): Promise<void> {
    const [variable, role] = await Promise.all([
      this.#variable(wish.name, signal),
      findPrincipal(this.#client, wish.principal, signal),
    ]);
    const group = groupFor(variable, role);
    const { branch } = variable;
    for (const { place, before, after } of edits) {
      const isHere = place === placeOf(branch, group);
      if (!isHere || (await this.#read(variable, { group, role }, signal)) !== before)
        throw changedMeanwhile(place);
      if (after === undefined)
        await this.#client.load(branch, [{ remove: { kind: 'group', id: group } }], signal);
      else await this.#client.loadText(branch, after, true, signal);
    }
  }

  settles(): undefined {
    return undefined;
  }

  async ownAccess(name: string, { signal }: CallOptions): Promise<AccessVerdict['verdict']> {
    this.#checkName(name);
    return (await this.#client.allowed('variable', name, PRIVILEGE, signal)) ? 'allowed' : 'denied';
  }

  async list(name: string | undefined, { signal }: CallOptions): Promise<readonly AccessEntry[]> {
    if (name === undefined) return this.#granted(signal);
    const { owner, permits } = await this.#variable(name, signal);
    const entries: AccessEntry[] = [
      { secret: name, principal: titleOf(owner), ours: false, through: 'ownership', breadth: 'named' },
    ];
    for (const { role, privilege } of permits ?? []) {
      if (privilege !== PRIVILEGE) continue;
      const own = isOurs(role) ? await this.#entry(role, signal) : undefined;
      const through = 'a permit of execute';
      entries.push(
        own?.secret === name
          ? own
          : { secret: name, principal: titleOf(role), ours: false, through, breadth: 'named' },
      );
    }
    return entries;
  }

  async check(name: string, principal: string, { signal }: CallOptions): Promise<AccessVerdict> {
    this.#checkName(name);
    if (principal === 'self') {
      const verdict = await this.ownAccess(name, { signal });
      const title = titleOf(await this.#client.role(signal));
      return { principal: title, verdict, why: 'a check of the privilege execute', by: 'service' };
    }
    const variable = await this.#variable(name, signal);
    const role = await findPrincipal(this.#client, principal, signal);
    const query = `?permitted_roles=true&privilege=${PRIVILEGE}`;
    const may = await this.#client.json(['resources', 'variable', name, query], signal);
    if (!Array.isArray(may)) throw notConjur();
    const answer = { principal: titleOf(role), by: 'service' as const };
    if (!may.includes(role)) return { ...answer, verdict: 'denied', why: 'no permit of execute reaches it' };
    const { permits = [] } = variable;
    const direct = permits.some((one) => one.role === role && one.privilege === PRIVILEGE);
    const own = fullRole(role, variable.branch, groupFor(variable, role));
    const granted = permits.some((one) => one.role === own);
    const why =
      variable.owner === role
        ? 'it owns the variable'
        : direct
          ? 'a permit of execute'
          : granted
            ? `a permit of execute for ${titleOf(own)}`
            : 'a role that it holds';
    return { ...answer, verdict: 'allowed', why };
  }

  /** @throws SecretsError NotFound */
  async #variable(name: string, signal: AbortSignal): Promise<Guarded> {
    this.#checkName(name);
    const found = await this.#client.json(['resources', 'variable', name], signal);
    const seen = this.#seen.get(name);
    if (found === undefined && seen !== undefined) return { ...seen, permits: undefined };
    if (found === undefined)
      throw new SecretsError(
        'NotFound',
        `not found, or ${await this.#client.role(signal)} may not see it (Conjur doesn’t say which)`,
        { hint: 'secrets list shows what that role may see' },
      );
    if (!isJsonObject(found)) throw notConjur();
    const { owner, policy, permissions } = found;
    if (typeof owner !== 'string') throw notConjur();
    const variable = {
      name,
      branch: typeof policy === 'string' ? idOf(policy) : 'root',
      owner,
      permits: objectsIn(permissions).map((one) => ({
        role: String(one['role']),
        privilege: String(one['privilege']),
      })),
    };
    this.#seen.set(name, variable);
    return variable;
  }

  /** The statements that Conjur's state of a group amounts to; undefined if there is no such group. */
  async #read(
    variable: Guarded,
    { group, role }: { readonly group: string; readonly role: string },
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const id = fullId(variable.branch, group);
    const own = fullRole(role, variable.branch, group);
    const [resource, members] = await Promise.all([
      this.#client.json(['resources', 'group', id], signal),
      this.#client.json(['roles', 'group', id], signal),
    ]);
    const hidden = members === undefined ? [] : [PRIVILEGE];
    const privileges =
      variable.permits?.filter((one) => one.role === own).map(({ privilege }) => privilege) ?? hidden;
    if (resource === undefined && members === undefined && privileges.length === 0) return undefined;
    const expected = statementsFor(variable, { group, role });
    // A caller that may update the policy without owning it doesn't see the group's annotations.
    const annotations = isJsonObject(resource ?? null) ? notesOf(resource) : undefined;
    const statements = expected.flatMap((statement): readonly Statement[] => {
      if ('group' in statement) return [{ ...statement, ...(annotations && { annotations }) }];
      if ('permit' in statement)
        return privileges.length === 0 ? [] : [{ ...statement, privileges: privileges.toSorted() }];
      if ('member' in statement && members !== undefined)
        return membersIn(members).map((member) => ({ ...statement, member: recordOf(member) }));
      return [statement];
    });
    return writePolicy(statements);
  }

  /** Every grant in the account that this role may see. */
  async #granted(signal: AbortSignal): Promise<readonly AccessEntry[]> {
    const entries: AccessEntry[] = [];
    for (let offset = 0; ; offset += PAGE) {
      const query = `?limit=${PAGE}&offset=${offset}`;
      const page = await this.#client.json(['resources', 'group', '', query], signal);
      if (!Array.isArray(page)) throw notConjur();
      for (const one of objectsIn(page)) {
        const id = String(one['id']);
        const entry = isOurs(id) ? await this.#entry(id, signal, one) : undefined;
        if (entry !== undefined) entries.push(entry);
      }
      if (page.length < PAGE) return entries;
    }
  }

  async #entry(role: string, signal: AbortSignal, known?: JsonValue): Promise<AccessEntry | undefined> {
    const id = idOf(role);
    const group = known ?? (await this.#client.json(['resources', 'group', id], signal));
    const written = writtenIn(notesOf(group)[RECORD]);
    // Anybody who may write a policy can name a group like ours, with any record, and add to ours.
    if (written === undefined || !isGroupOf(id, written, role)) return undefined;
    const found = await this.#client.json(['roles', 'group', id], signal);
    const members = membersIn(found).map((member) => titleOf(member));
    if (members.some((member) => member !== written.principal)) return undefined;
    const idle = found === undefined ? 'you may not see its members' : 'it is not a member of the group';
    return {
      secret: written.variable,
      principal: written.principal,
      ours: true,
      through: `the group ${id}`,
      breadth: 'named',
      ...(members.length === 0 && { idle }),
    };
  }
}

function statementsFor(
  { name, branch, owner }: Guarded,
  { group, role }: { readonly group: string; readonly role: string },
): readonly Statement[] {
  const own = { kind: 'group', id: group };
  const written: Written = { variable: name, principal: titleOf(role) };
  // Whoever owns a role holds it. Only the variable's owner can read it anyway: with the policy as the owner, as by
  // default, the grant would reach more roles where the variable has another one.
  const isDefault = branch === 'root' ? /:(?:user:admin|policy:root)$/.test(owner) : isPolicy(owner, branch);
  return [
    {
      group,
      owner: isDefault ? undefined : recordOf(owner),
      annotations: { description: DESCRIPTION, [RECORD]: JSON.stringify(written) },
    },
    { permit: own, privileges: [PRIVILEGE], resource: { kind: 'variable', id: relativeTo(branch, name) } },
    { role: own, member: recordOf(role) },
  ];
}

function groupFor({ name }: Pick<Guarded, 'name'>, role: string): string {
  return `${OURS}${digestOf(name, 12)}-${digestOf(role, 12)}`;
}

/** Whether a group has the name that a grant gives it. */
function isGroupOf(id: string, { variable, principal }: Written, role: string): boolean {
  const account = role.slice(0, role.indexOf(':'));
  return id.split('/').at(-1) === groupFor({ name: variable }, `${account}:${principal}`);
}

function placeOf(branch: string, group: string): string {
  return `policy ${branch}: !group ${group}`;
}

function fullId(branch: string, id: string): string {
  return branch === 'root' ? id : `${branch}/${id}`;
}

/** The full id of a group in the account of another role. */
function fullRole(role: string, branch: string, group: string): string {
  return `${role.slice(0, role.indexOf(':'))}:group:${fullId(branch, group)}`;
}

function relativeTo(branch: string, name: string): string {
  return branch !== 'root' && name.startsWith(`${branch}/`) ? name.slice(branch.length + 1) : `/${name}`;
}

function isPolicy(role: string, branch: string): boolean {
  return titleOf(role) === `policy:${branch}`;
}

function isOurs(role: string): boolean {
  return /^[^:]*:group:/.test(role) && (idOf(role).split('/').at(-1) ?? '').startsWith(OURS);
}

function idOf(full: string): string {
  return full.split(':').slice(2).join(':');
}

/** A reference from any policy. */
function recordOf(full: string): RecordId {
  return { kind: full.split(':')[1] ?? '', id: `/${idOf(full)}` };
}

function objectsIn(list: JsonValue | undefined): readonly { readonly [key: string]: JsonValue }[] {
  return Array.isArray(list) ? (list as readonly JsonValue[]).filter((one) => isJsonObject(one)) : [];
}

/** The members of a role without its owner. */
function membersIn(role: JsonValue | undefined): readonly string[] {
  const list = role !== undefined && isJsonObject(role) ? role['members'] : undefined;
  const members = objectsIn(list).filter((one) => one['ownership'] !== true);
  return members.map((one) => String(one['member'])).toSorted();
}

function notesOf(resource: JsonValue | undefined): Readonly<Record<string, string>> {
  const list = resource !== undefined && isJsonObject(resource) ? resource['annotations'] : undefined;
  const notes = objectsIn(list).map((one) => [String(one['name']), String(one['value'])] as const);
  return Object.fromEntries(notes.toSorted(([first], [second]) => (first < second ? -1 : 1)));
}

function writtenIn(text: string | undefined): Written | undefined {
  try {
    const found: unknown = JSON.parse(text ?? '');
    if (!isJsonObject(found)) return undefined;
    const { variable, principal } = found;
    return typeof variable === 'string' && typeof principal === 'string'
      ? { variable, principal }
      : undefined;
  } catch {
    return undefined;
  }
}
