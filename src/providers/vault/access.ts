/**
 * Grants in Vault. Each grant is an ACL policy of its own that names one secret, and its assignment to one principal.
 * So two grants never edit the same policy, and a revocation deletes documents instead of editing them.
 *
 * Entities and groups get the policy through an internal group of the same name. That leaves their own settings alone,
 * and tokens that exist gain and lose the policy at once. Roles and users of auth methods have no group: the policy
 * joins their `token_policies`, a list without compare-and-set.
 */
import {
  type AccessEdit,
  type AccessEntry,
  accessPlan,
  type AccessPlan,
  type AccessVerdict,
  type AccessWish,
  digestOf,
  type NativePolicy,
  type Purpose,
} from '../../core/access/plan.ts';
import { changedMeanwhile, notAsWritten, refuseThrough, refuseUntil } from '../../core/access/refusals.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import type { CallOptions } from '../call.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import { isAsWritten, policyText, recordIn } from './access-documents.ts';
import { policyFor } from './access-needs.ts';
import { deciding, mayRead } from './acl.ts';
import type { VaultClient } from './client.ts';
import type { Engine } from './engine.ts';
import { asMap, type Json } from './errors.ts';
import { grantsOn, type Policy, readPolicies, rulesOf } from './grants.ts';
import { findPrincipal, textsIn, type VaultPrincipal } from './principals.ts';

/** What the names of our policies and groups start with. */
const OURS = 'secrets-access-';
const PARALLEL = 8;
/** A writer that read a role's policies before us has written them by then. */
const SETTLE_MS = 300;

export class VaultAccess implements AccessControl {
  readonly #client: VaultClient;
  readonly #engine: Engine;
  readonly #checkName: (name: string) => void;

  constructor(engine: Engine, checkName: (name: string) => void) {
    this.#client = engine.client;
    this.#engine = engine;
    this.#checkName = checkName;
  }

  async plan(wish: AccessWish, { signal }: CallOptions): Promise<AccessPlan> {
    refuseUntil(wish, 'Vault has no grants that end by themselves', 'omit --for, and revoke the grant later');
    refuseThrough(wish, 'Vault has one kind of policy for secrets');
    const path = await this.#path(wish.name, signal);
    const principal = await findPrincipal(this.#client, wish.principal, signal);
    const name = policyName(path, principal);
    const granted = wish.change === 'grant';
    const assigned = assignmentOf(principal, name);
    const text = policyText(path, { path, principal: principal.title, assigned: assigned.place });
    const [policy, now] = await Promise.all([
      this.#read(`sys/policies/acl/${name}`, signal),
      this.#read(assigned.place, signal),
    ]);
    if (policy !== undefined && !isAsWritten(policy, path))
      throw notAsWritten(`the policy ${name}`, `vault policy read ${name}`);
    if (principal.kind !== 'role' && now !== undefined && now !== assigned.after(now, true))
      throw notAsWritten(`the group ${name}`, `vault read ${assigned.place}`);
    const policyEdit = {
      place: `sys/policies/acl/${name}`,
      before: policy,
      // A policy that is there stays as it is, also under the principal's former name.
      after: granted ? (policy ?? text) : undefined,
    };
    const assignment = { ...assigned, before: now, after: assigned.after(now, granted) };
    const edits: AccessEdit[] = [
      policyEdit,
      { place: assignment.place, before: assignment.before, after: assignment.after },
    ];
    const isNew = granted && edits.some(({ before, after }) => before !== after);
    const unseen = isNew ? await this.#refuseLoss(path, principal, name, signal) : [];
    return accessPlan({
      wish,
      principal: principal.title,
      // Revoked in the other order: no assignment names a policy that is gone.
      edits: granted ? edits : edits.toReversed(),
      notes: [
        ...(principal.kind === 'role'
          ? [`tokens that ${principal.title} already has keep their policies until they expire`]
          : []),
        ...unseen,
      ],
    });
  }

  /**
   * Vault applies the rule that fits best alone, and a grant's fits best: it would take away what a wider rule allows
   * besides reading, and overrule a wider prohibition.
   * @returns what could not be looked at @throws SecretsError Conflict
   */
  async #refuseLoss(
    path: string,
    principal: VaultPrincipal,
    own: string,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { title } = principal;
    let policies: readonly Policy[];
    try {
      const names = [...(await this.#policiesOf(principal, signal))].filter((one) => one !== own);
      policies = await Promise.all(names.map((one) => this.#policy(one, signal)));
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'Denied') throw thrown;
      return [
        `you may not see the other policies of ${title}: what they allow by wider paths than this ends`,
      ];
    }
    const wider = deciding(path, policies);
    if (wider === undefined || wider.isTemplate) return [];
    const where = `the path ${wider.path} of the policy ${wider.policies.join(' and ')}`;
    const isExact = wider.path === path;
    if (wider.capabilities.has('deny'))
      throw new SecretsError(
        'Conflict',
        `${where} denies this to ${title}, and ${isExact ? 'wins over any grant' : 'a grant would overrule it'}`,
        { hint: 'change that path first, if the principal is to read this secret' },
      );
    if (isExact) return [];
    if (wider.isConditional)
      throw new SecretsError(
        'Conflict',
        `${where} asks ${title} for approval or wrapping, and a grant would not`,
        {
          hint: 'change that path first, if the principal is to read this secret without',
        },
      );
    // The paths of values in KV version 2 have no listing.
    const isValue = (await this.#engine.version(signal)) === 2;
    const lost = [...wider.capabilities].filter((one) => one !== 'read' && !(isValue && one === 'list'));
    if (lost.length === 0) return [];
    throw new SecretsError('Conflict', `${title} would lose ${lost.join(', ')}, which ${where} allows`, {
      hint: wider.capabilities.has('read')
        ? 'it can read the secret already'
        : 'add read to that path instead: a rule for this secret alone would win over it',
    });
  }

  async apply({ edits }: AccessPlan, { signal }: CallOptions): Promise<void> {
    for (const { place, before, after } of edits) {
      // Vault has no compare-and-set for policies, groups and roles: the shortest possible time in between.
      if ((await this.#read(place, signal)) !== before) throw changedMeanwhile(place);
      if (after === undefined) await this.#client.delete(place, signal);
      else if (place.startsWith('sys/')) await this.#client.write(place, { policy: after }, signal);
      else await this.#client.write(place, JSON.parse(after) as Json, signal);
    }
  }

  settles({ edits }: AccessPlan): number | undefined {
    return edits.some(({ place }) => place.startsWith('auth/')) ? SETTLE_MS : undefined;
  }

  async ownAccess(name: string, { signal }: CallOptions): Promise<AccessVerdict['verdict']> {
    const path = await this.#path(name, signal);
    const body = await this.#client.write('sys/capabilities-self', { paths: [path] }, signal);
    const may = textsIn(asMap(body['data'] ?? body), path);
    return may.includes('read') || may.includes('root') ? 'allowed' : 'denied';
  }

  async policyFor(
    purpose: Purpose,
    names: readonly string[],
    { signal }: CallOptions,
  ): Promise<NativePolicy> {
    for (const name of names) await this.#path(name, signal);
    return policyFor(purpose, names, {
      mount: this.#engine.mount,
      version: await this.#engine.version(signal),
    });
  }

  async list(name: string | undefined, { signal }: CallOptions): Promise<readonly AccessEntry[]> {
    const root = await this.#path('', signal);
    if (name === undefined) {
      const names = await this.#client.keys('sys/policies/acl', signal);
      const limit = pool(PARALLEL);
      const ours = names.filter((policy) => policy.startsWith(OURS));
      const entries = await Promise.all(ours.map((policy) => limit(() => this.#entry(policy, signal))));
      return entries.filter((entry) => entry !== undefined);
    }
    const path = await this.#path(name, signal);
    const policies = await readPolicies(this.#client, signal);
    const entries: AccessEntry[] = [];
    for (const { principal, breadth, through } of grantsOn(path, root, policies)) {
      const policy = /^policy (.*)$/s.exec(principal)?.[1] ?? '';
      const own = policy.startsWith(namePrefix(path)) ? await this.#entry(policy, signal) : undefined;
      entries.push(own ?? { secret: name, principal, ours: false, through, breadth });
    }
    return entries;
  }

  async check(name: string, principal: string, { signal }: CallOptions): Promise<AccessVerdict> {
    const path = await this.#path(name, signal);
    if (principal === 'self') {
      const { principal: title } = await this.#client.identity(signal);
      const verdict = await this.ownAccess(name, { signal });
      return { principal: title, verdict, why: 'sys/capabilities-self', by: 'service' };
    }
    const found = await findPrincipal(this.#client, principal, signal);
    const names = await this.#policiesOf(found, signal);
    const policies = await Promise.all([...names].map((policy) => this.#policy(policy, signal)));
    const { verdict, why } = names.has('root')
      ? { verdict: 'allowed' as const, why: 'the policy root' }
      : mayRead(path, policies);
    const answer = { principal: found.title, by: 'policies' as const };
    if (found.kind === 'role' || (verdict === 'denied' && isDenial(path, policies)))
      return { ...answer, verdict, why };
    // An entity signs in through a role, and a group has members: either may add policies, and a rule of theirs that
    // fits better wins over one that only allows.
    const exact = policies.some(({ rules }) => rules.some((rule) => rule.path === path));
    if (verdict === 'allowed' && exact) return { ...answer, verdict, why };
    const more =
      found.kind === 'group' ? 'its members’ own policies count too' : 'its role’s policies count too';
    return { ...answer, verdict: 'unknown', why: `${why}; ${more}` };
  }

  /** The path of a policy's rule: not URL-encoded. @throws SecretsError Unsupported */
  async #path(name: string, signal: AbortSignal): Promise<string> {
    const kind = (await this.#engine.version(signal)) === 1 ? '' : 'data/';
    const path = `${this.#engine.mount}/${kind}${name}`;
    if (name === '') return path;
    this.#checkName(name);
    if (/\*$|\{\{|\$\{/.test(path) || path.split('/').includes('+'))
      throw new SecretsError('Unsupported', 'a Vault policy can’t name this secret alone', {
        hint: 'its name is a pattern in policies: rename it',
      });
    return path;
  }

  /** A document of Vault's policies in one form; undefined if there is none. */
  async #read(place: string, signal: AbortSignal): Promise<string | undefined> {
    const { found, body } = await this.#client.read(place, signal);
    const data = asMap(body['data']);
    if (!found) return undefined;
    if (place.startsWith('sys/')) return String(data['policy'] ?? '');
    if (place.startsWith('auth/')) return listText({ token_policies: textsIn(data, 'token_policies') });
    return groupText({
      policies: textsIn(data, 'policies'),
      member_entity_ids: textsIn(data, 'member_entity_ids'),
      member_group_ids: textsIn(data, 'member_group_ids'),
    });
  }

  async #policy(name: string, signal: AbortSignal): Promise<Policy> {
    const text = await this.#read(`sys/policies/acl/${encodeURIComponent(name)}`, signal);
    return { name, rules: rulesOf(text ?? '') };
  }

  async #entry(policy: string, signal: AbortSignal): Promise<AccessEntry | undefined> {
    const text = (await this.#read(`sys/policies/acl/${policy}`, signal)) ?? '';
    const written = recordIn(text);
    const prefix = await this.#path('', signal);
    // Anybody who may write policies can give one a name like ours, and any record.
    if (written === undefined || !isAsWritten(text, written.path)) return undefined;
    if (!policy.startsWith(namePrefix(written.path)) || !written.path.startsWith(prefix)) return undefined;
    const assigned = await this.#read(written.assigned, signal).catch(() => 'unreadable');
    return {
      secret: written.path.slice(prefix.length),
      principal: written.principal,
      ours: true,
      through: `the policy ${policy}`,
      breadth: 'named',
      ...(assigned?.includes(policy) !== true && {
        idle: assigned === 'unreadable' ? 'you may not see its assignment' : 'it is not assigned to anybody',
      }),
    };
  }

  /** The names of all policies that a token of this principal gets, as far as they depend on it. */
  async #policiesOf(principal: VaultPrincipal, signal: AbortSignal): Promise<Set<string>> {
    const names = new Set<string>();
    const { data } = principal;
    for (const field of ['policies', 'token_policies'])
      for (const name of textsIn(data, field)) names.add(name);
    let groups = [...textsIn(data, 'group_ids'), ...textsIn(data, 'parent_group_ids')];
    if (principal.kind === 'role') {
      if (data['token_no_default_policy'] !== true) names.add('default');
      const entity = await this.#entityOf(principal, signal);
      for (const name of textsIn(entity, 'policies')) names.add(name);
      groups = [...textsIn(entity, 'group_ids')];
    }
    const seen = new Set<string>();
    for (let group = groups.pop(); group !== undefined; group = groups.pop()) {
      if (seen.has(group)) continue;
      seen.add(group);
      const { body } = await this.#client.read(`identity/group/id/${group}`, signal);
      const found = asMap(body['data']);
      for (const name of textsIn(found, 'policies')) names.add(name);
      groups.push(...textsIn(found, 'parent_group_ids'));
    }
    return names;
  }

  /** The entity of whoever signs in with a role; empty if nobody has yet. */
  async #entityOf({ path, title, at }: VaultPrincipal, signal: AbortSignal): Promise<Json> {
    const { mount = '', name: user = '' } = at ?? {};
    let name = user;
    if (title.startsWith('approle:')) {
      const { body } = await this.#client.read(`${path}/role-id`, signal);
      name = String(asMap(body['data'])['role_id'] ?? '');
    }
    const { body } = await this.#client.read(`sys/auth/${mount}`, signal);
    const accessor = asMap(body['data'])['accessor'] ?? body['accessor'];
    if (typeof accessor !== 'string' || name === '') return {};
    const wanted = { alias_name: name, alias_mount_accessor: accessor };
    return asMap((await this.#client.write('identity/lookup/entity', wanted, signal))['data']);
  }
}

function policyName(path: string, { id }: VaultPrincipal): string {
  return namePrefix(path) + digestOf(id, 12);
}

/** What the names of the policies for one path start with. */
function namePrefix(path: string): string {
  return `${OURS}${digestOf(path, 12)}-`;
}

/** Where the policy is assigned to the principal, and what that document becomes. */
function assignmentOf(
  { kind, path, id }: VaultPrincipal,
  policy: string,
): { readonly place: string; after(before: string | undefined, granted: boolean): string | undefined } {
  if (kind === 'role')
    return {
      place: path,
      after: (before, granted) => {
        const now = textsIn(asMap(JSON.parse(before ?? '{}')), 'token_policies');
        if (now.includes(policy) === granted) return before;
        const next = granted ? [...now, policy] : now.filter((name) => name !== policy);
        return listText({ token_policies: next });
      },
    };
  const member = [id.slice(id.indexOf(':') + 1)];
  return {
    place: `identity/group/name/${policy}`,
    after: (_before, granted) =>
      granted
        ? groupText({
            policies: [policy],
            member_entity_ids: kind === 'entity' ? member : [],
            member_group_ids: kind === 'group' ? member : [],
          })
        : undefined,
  };
}

function groupText(lists: Readonly<Record<string, readonly string[]>>): string {
  return listText(lists);
}

function listText(lists: Readonly<Record<string, readonly string[]>>): string {
  return JSON.stringify(lists, null, 2);
}

/** Whether the exact path is denied, which no other policy can change. */
function isDenial(path: string, policies: readonly Policy[]): boolean {
  return policies.some(({ rules }) =>
    rules.some((rule) => rule.path === path && rule.capabilities.includes('deny')),
  );
}
