/** What Cedar is asked: the principal, the action, the resource with what contains it, and the context. */
import type { PolicyAction } from './actions.ts';

/** An entity's type and id. */
export interface EntityId {
  readonly type: string;
  readonly id: string;
}

export type AttributeValue = string | number | boolean;

export interface Entity {
  readonly uid: EntityId;
  readonly attrs: Readonly<Record<string, AttributeValue>>;
  readonly parents: readonly EntityId[];
  readonly tags?: Readonly<Record<string, string>>;
}

/** Who asks. */
export interface Principal {
  /** The operating system's user, by name. */
  readonly id: string;
  readonly uid: number | undefined;
  /** Names, and `gid:NUMBER`. */
  readonly groups: readonly string[];
  /** A client of the user's agent, by the door through which it asks. */
  readonly client?: string | undefined;
}

/** The principal itself, as policies name it. */
export function principalId({ id, client }: Principal): EntityId {
  return client === undefined ? { type: 'User', id } : { type: 'Client', id: client };
}

/** What is known of the run; see `Context` of the schema. */
export interface Circumstances {
  readonly command: string;
  readonly program?: string | undefined;
  readonly ci: boolean;
  readonly branch?: string | undefined;
  readonly terminal: boolean;
  readonly hour: number;
  readonly weekday: number;
  readonly reason?: string | undefined;
  readonly host: string;
}

/** What is asked for: a secret, what is below a prefix (its name ends in a slash), or the store (no name). */
export interface Resource {
  readonly store: string;
  readonly provider: string;
  readonly name?: string | undefined;
  /** What the service has before the name, where the store's settings say so. */
  readonly prefix?: string | undefined;
  /** Of a secret. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface PolicyRequest {
  readonly principal: Principal;
  readonly action: PolicyAction;
  readonly resource: Resource;
  readonly circumstances: Circumstances;
}

/** The id of a secret or of a prefix. */
export function idIn(store: string, name: string): string {
  return `${store}://${name}`;
}

/** The resource's own id, then those of what contains it, the nearest first. */
export function chainOf({ store, name = '' }: Resource, action: PolicyAction): readonly EntityId[] {
  const chain: EntityId[] = [];
  if (name !== '') {
    if (action !== 'list') chain.push({ type: 'Secret', id: idIn(store, name) });
    for (let end = name.length; end > 0;) {
      end = name.lastIndexOf('/', end - 1);
      if (end !== -1) chain.push({ type: 'Prefix', id: idIn(store, name.slice(0, end + 1)) });
    }
  }
  chain.push({ type: 'Store', id: store });
  return chain;
}

/**
 * What a listing of names that begin with this text is decided for: the part up to the last slash, since what is below
 * contains all of them.
 */
export function listedPrefix(prefix: string | undefined): string | undefined {
  const end = prefix?.lastIndexOf('/') ?? -1;
  return end === -1 ? undefined : prefix?.slice(0, end + 1);
}

/** The entities that a request is about. */
export function entitiesOf({ principal, action, resource }: PolicyRequest): readonly Entity[] {
  const { store, provider, prefix = '', labels } = resource;
  const chain = chainOf(resource, action);
  const resources = chain.map((uid, index): Entity => {
    const next = chain[index + 1];
    const parents = next === undefined ? [] : [next];
    if (uid.type === 'Store') return { uid, attrs: { provider }, parents };
    const name = prefix + uid.id.slice(idIn(store, '').length);
    const tags = uid.type === 'Secret' ? { tags: { ...labels } } : {};
    return { uid, attrs: { name, store, provider }, parents, ...tags };
  });
  const groups = principal.groups.map((id): EntityId => ({ type: 'Group', id }));
  const user: EntityId = { type: 'User', id: principal.id };
  return [
    ...(principal.client === undefined ? [] : [{ uid: principalId(principal), attrs: {}, parents: [user] }]),
    {
      uid: user,
      attrs: principal.uid === undefined ? {} : { uid: principal.uid },
      parents: groups,
    },
    ...groups.map((uid): Entity => ({ uid, attrs: {}, parents: [] })),
    ...resources,
  ];
}

/** The context as Cedar takes it: without what isn't known. */
export function contextOf(circumstances: Circumstances): Readonly<Record<string, AttributeValue>> {
  const known = Object.entries(circumstances).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known) as Record<string, AttributeValue>;
}
