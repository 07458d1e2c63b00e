/** What a token may do: which secrets it reads and lists, and which it writes. */

/** A part of the stores: one store, or every store; in it one name, or every name below a prefix. */
export interface Part {
  /** Missing: every store. */
  readonly store?: string | undefined;
  /** Ending in a slash: the names below. Empty: every name. Otherwise: the secret of that name. */
  readonly prefix: string;
}

export interface Scope {
  readonly read: readonly Part[];
  readonly write: readonly Part[];
}

export const READ_POLICY = 'secrets-read';
export const WRITE_POLICY = 'secrets-write';
export const DEFAULT_POLICY = 'default';

export const READ_ALL: Scope = { read: [{ prefix: '' }], write: [] };

/** Whether a part covers this name. */
function covers({ store, prefix }: Part, inStore: string, name: string): boolean {
  if (store !== undefined && store !== inStore) return false;
  return prefix === '' || prefix.endsWith('/') ? name.startsWith(prefix) : name === prefix;
}

export class Rights {
  readonly #scope: Scope;
  readonly #policies: ReadonlySet<string>;

  /** @param policies the token's own: a child may have fewer than the scope of its parent */
  constructor(scope: Scope, policies: readonly string[]) {
    this.#scope = scope;
    this.#policies = new Set(policies);
  }

  mayRead(store: string, name: string): boolean {
    return this.#policies.has(READ_POLICY) && this.#scope.read.some((part) => covers(part, store, name));
  }

  /** @param folder empty, or ending in a slash */
  mayList(store: string, folder: string): boolean {
    return this.#policies.has(READ_POLICY) && this.#scope.read.some((part) => covers(part, store, folder));
  }

  mayWrite(store: string, name: string): boolean {
    return this.#policies.has(WRITE_POLICY) && this.#scope.write.some((part) => covers(part, store, name));
  }

  /** Whether anything in a store may be used: its mount is visible then. */
  mayUse(store: string): boolean {
    const parts = [
      ...(this.#policies.has(READ_POLICY) ? this.#scope.read : []),
      ...(this.#policies.has(WRITE_POLICY) ? this.#scope.write : []),
    ];
    return parts.some((part) => part.store === undefined || part.store === store);
  }

  get mayMakeTokens(): boolean {
    return this.#policies.has(READ_POLICY);
  }
}

/** The policies that stand for a scope, sorted as Vault shows them. */
export function policiesOf({ read, write }: Scope): readonly string[] {
  return [
    DEFAULT_POLICY,
    ...(read.length > 0 ? [READ_POLICY] : []),
    ...(write.length > 0 ? [WRITE_POLICY] : []),
  ];
}
