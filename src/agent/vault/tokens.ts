/**
 * The tokens of the Vault door. They are made here, live in memory only, as hashes, and end by themselves. A token's
 * children end with it.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { policiesOf, Rights, type Scope } from './scope.ts';

/** Terraform asks for one token a run; more than this at a time is a client that never stops asking. */
const MOST_TOKENS = 10_000;
/** The longest life of a token, and how far renewals go. Vault has 32 days; these are for one machine's use. */
export const MAX_TTL = 24 * 3600;
export const DEFAULT_TTL = 3600;
/** How many tokens may follow from one another: each use looks at all of them. */
const MOST_DEPTH = 32;

export interface NewToken {
  readonly scope: Scope;
  /** Default: those of the scope. */
  readonly policies?: readonly string[] | undefined;
  readonly displayName: string;
  /** Seconds; missing: it lives as long as the agent. */
  readonly ttl?: number | undefined;
  readonly explicitMaxTtl?: number | undefined;
  readonly renewable?: boolean | undefined;
  readonly uses?: number | undefined;
  readonly meta?: ReadonlyMap<string, string> | undefined;
  readonly parent?: Token | undefined;
}

export interface Token extends NewToken {
  /** Names the token in records; opens nothing. */
  readonly accessor: string;
  readonly policies: readonly string[];
  readonly rights: Rights;
  readonly createdAt: number;
  /** Milliseconds since 1970; missing: none. */
  expiresAt: number | undefined;
  renewedAt: number | undefined;
  usesLeft: number | undefined;
  isRevoked: boolean;
  /** How many tokens this one follows from. */
  readonly depth: number;
}

interface Held {
  readonly token: Token;
  readonly digest: Buffer;
}

export class Tokens {
  readonly #now: () => Date;
  /** By the start of the digest; the whole is compared in constant time. */
  readonly #held = new Map<string, Held>();

  constructor(now: () => Date) {
    this.#now = now;
  }

  get size(): number {
    this.#sweep();
    return this.#held.size;
  }

  /** A new token and its secret, which is nowhere else; undefined if there are too many. */
  issue(wanted: NewToken): { readonly secret: string; readonly token: Token } | undefined {
    if (this.#held.size >= MOST_TOKENS) this.#sweep();
    if (this.#held.size >= MOST_TOKENS) return undefined;
    const secret = `hvs.${randomBytes(32).toString('base64url')}`;
    const policies = wanted.policies ?? policiesOf(wanted.scope);
    const createdAt = this.#now().getTime();
    const token: Token = {
      ...wanted,
      policies,
      rights: new Rights(wanted.scope, policies),
      accessor: accessor(),
      createdAt,
      expiresAt: wanted.ttl === undefined ? undefined : createdAt + wanted.ttl * 1000,
      renewedAt: undefined,
      usesLeft: wanted.uses === 0 ? undefined : wanted.uses,
      isRevoked: false,
      depth: wanted.parent === undefined ? 0 : wanted.parent.depth + 1,
    };
    const digest = digestOf(secret);
    this.#held.set(keyOf(digest), { token, digest });
    return { secret, token };
  }

  /** Whether `use` would find it. */
  knows(secret: string): boolean {
    return this.#find(secret) !== undefined;
  }

  #find(secret: string): Token | undefined {
    const digest = digestOf(secret);
    const held = this.#held.get(keyOf(digest));
    if (held === undefined || !timingSafeEqual(held.digest, digest)) return undefined;
    if (this.#lives(held.token)) return held.token;
    this.revoke(held.token);
    return undefined;
  }

  /** The token of a request, which uses it once; undefined if it isn't known or has ended. */
  use(secret: string): Token | undefined {
    const token = this.#find(secret);
    if (token === undefined) return undefined;
    if (token.usesLeft !== undefined) {
      token.usesLeft -= 1;
      if (token.usesLeft === 0) this.revoke(token);
    }
    return token;
  }

  /** Seconds that are left, rounded as Vault does; 0 for a token without an end. */
  ttlOf({ expiresAt }: Token): number {
    return expiresAt === undefined ? 0 : Math.max(0, Math.ceil((expiresAt - this.#now().getTime()) / 1000));
  }

  /** Moves the end. @returns the seconds from now on */
  renew(token: Token, increment: number | undefined): number {
    const now = this.#now().getTime();
    const longest = Math.min(token.explicitMaxTtl || MAX_TTL, MAX_TTL);
    const left = Math.floor((token.createdAt + longest * 1000 - now) / 1000);
    const seconds = Math.max(0, Math.min(increment ?? token.ttl ?? DEFAULT_TTL, left));
    token.expiresAt = now + seconds * 1000;
    token.renewedAt = now;
    return seconds;
  }

  /** Ends a token and its children. */
  revoke(token: Token): void {
    token.isRevoked = true;
    this.#sweep();
  }

  revokeAll(): void {
    this.#held.clear();
  }

  /** Whether a token may have children. */
  mayHaveChildren({ depth }: Token): boolean {
    return depth < MOST_DEPTH;
  }

  /** A token ends at its time, when it is revoked, and with its parent. */
  #lives(token: Token): boolean {
    for (let one: Token | undefined = token; one !== undefined; one = one.parent)
      if (one.isRevoked || (one.expiresAt !== undefined && one.expiresAt <= this.#now().getTime()))
        return false;
    return true;
  }

  #sweep(): void {
    for (const [key, { token }] of this.#held) if (!this.#lives(token)) this.#held.delete(key);
  }
}

function digestOf(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

function keyOf(digest: Buffer): string {
  return digest.toString('hex', 0, 8);
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** 24 characters, as Vault's. 62 of 256 isn't even, which doesn't matter for a name. */
function accessor(): string {
  return Array.from(randomBytes(24), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}
