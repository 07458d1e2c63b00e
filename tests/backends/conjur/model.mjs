/** What a Conjur server keeps: roles, who holds which, resources with permissions, annotations and secrets. */
import { randomBytes } from 'node:crypto';

/** Versions that Conjur keeps of a variable. */
const VERSIONS_KEPT = 20;

/** Words that PostgreSQL's English dictionary drops from a text search; the common ones. */
const STOP_WORDS = new Set(
  'a about above after again all am an and any are as at be because been before being below between both but by can did do does doing down during each few for from further had has have having he her here hers him his how i if in into is it its just me more most my no nor not now of off on once only or other our out over own same she should so some such t than that the their them then there these they this those through to too under until up very was we were what when where which while who whom why will with you your'.split(
    ' ',
  ),
);

export const kindOf = (id) => id.split(':')[1];
export const identifierOf = (id) => id.split(':').slice(2).join(':');

export class Model {
  constructor(account, now) {
    this.account = account;
    this.now = now;
    /** Role id → { apiKey }. */
    this.roles = new Map();
    /** Role id → ids of its members. */
    this.members = new Map();
    /** Resource id → { owner, policy, permissions, annotations, secrets, createdAt, loads }. */
    this.resources = new Map();
    this.addRole(`${account}:user:admin`);
    this.addRole(`${account}:policy:root`);
    this.addMember(`${account}:policy:root`, `${account}:user:admin`);
    this.addResource(`${account}:policy:root`, `${account}:user:admin`, undefined);
  }

  addRole(id) {
    const kind = kindOf(id);
    const apiKey = kind === 'user' || kind === 'host' ? randomBytes(28).toString('hex') : undefined;
    this.roles.set(id, { apiKey });
    return apiKey;
  }

  addMember(role, member) {
    if (!this.members.has(role)) this.members.set(role, new Set());
    this.members.get(role).add(member);
  }

  addResource(id, owner, policy) {
    this.resources.set(id, {
      owner,
      policy,
      permissions: [],
      annotations: new Map(),
      secrets: [],
      createdAt: this.now(),
      loads: 0,
    });
  }

  /** A role and every role it holds, directly or not. */
  rolesOf(role) {
    const held = new Set([role]);
    for (let size = 0; size !== held.size;) {
      size = held.size;
      for (const [id, members] of this.members)
        if ([...members].some((member) => held.has(member))) held.add(id);
    }
    return held;
  }

  allowed(role, privilege, resource) {
    const held = this.rolesOf(role);
    return (
      held.has(resource.owner) ||
      resource.permissions.some((one) => one.privilege === privilege && held.has(one.role))
    );
  }

  /** Every role with a privilege: its owner, those with a permit, and whoever holds one of them. */
  rolesThatCan(privilege, { owner, permissions }) {
    const found = new Set([
      owner,
      ...permissions.filter((one) => one.privilege === privilege).map(({ role }) => role),
    ]);
    // A set goes on over what is added meanwhile.
    for (const role of found) for (const member of this.members.get(role) ?? []) found.add(member);
    return [...found];
  }

  /** Who was granted a role, as the roles API describes it. */
  membersJson(role) {
    return [...(this.members.get(role) ?? [])].map((member) => {
      const ownership = this.resources.get(role)?.owner === member;
      return { admin_option: ownership, ownership, role, member };
    });
  }

  /** Conjur shows a resource to its owner and to whoever has any privilege on it, and hides it from others. */
  visible(held, resource) {
    return held.has(resource.owner) || resource.permissions.some(({ role }) => held.has(role));
  }

  /** A resource if this role may know of it. */
  find(role, id) {
    const resource = this.resources.get(id);
    return resource !== undefined && this.visible(this.rolesOf(role), resource) ? resource : undefined;
  }

  /** A new version; none when the value is that of the newest. */
  addSecret(resource, value) {
    const newest = resource.secrets.at(-1);
    if (newest?.value.equals(value)) return;
    resource.secrets.push({ version: (newest?.version ?? 0) + 1, value, expiresAt: null });
    resource.secrets.splice(0, Math.max(0, resource.secrets.length - VERSIONS_KEPT));
  }

  /** Deletes a record, and with it whatever it owns. */
  remove(id) {
    for (const [other, { owner }] of [...this.resources])
      if (owner === id && other !== id) this.remove(other);
    this.resources.delete(id);
    this.roles.delete(id);
    this.members.delete(id);
    for (const members of this.members.values()) members.delete(id);
    for (const resource of this.resources.values())
      resource.permissions = resource.permissions.filter(({ role }) => role !== id);
  }

  list(role, kind, search) {
    const held = this.rolesOf(role);
    const wanted = search === undefined ? [] : words(search);
    return [...this.resources]
      .filter(([id, resource]) => kindOf(id) === kind && this.visible(held, resource))
      .filter(([id, resource]) => {
        if (search === undefined) return true;
        const has = new Set(words([identifierOf(id), ...annotationTexts(resource), kind].join(' ')));
        // A query of stop words alone finds nothing.
        return wanted.length > 0 && wanted.every((word) => has.has(word));
      })
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
  }

  json(id) {
    const { owner, policy, permissions, annotations, secrets, createdAt } = this.resources.get(id);
    return {
      created_at: createdAt.toISOString().replace('Z', '+00:00'),
      id,
      owner,
      ...(policy !== undefined && { policy }),
      permissions: permissions.map((one) => ({ ...one })),
      annotations: [...annotations].map(([name, one]) => ({ name, value: one.value, policy: one.policy })),
      ...(kindOf(id) === 'variable' && {
        // The documents have expires_at as a text; the service leaves null there, which they don't allow.
        secrets: secrets.map(({ version, expiresAt }) => ({
          version,
          ...(expiresAt !== null && { expires_at: expiresAt }),
        })),
      }),
      ...(kindOf(id) === 'policy' && { policy_versions: [] }),
    };
  }
}

function annotationTexts({ annotations }) {
  return [...annotations.values()].map(({ value }) => value);
}

/** Roughly PostgreSQL's words: `.`, `/` and `-` part them as spaces do. Without its stemming. */
function words(text) {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}_]+/u)
    .filter((word) => word !== '' && !STOP_WORDS.has(word));
}
