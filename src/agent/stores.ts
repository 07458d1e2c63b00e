/** What the agent's doors know of stores: reads and writes by name, each recorded with the client that asked. */
import type { AuditAction } from '../core/audit/record.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../core/secret.ts';
import type { CallOptions } from '../providers/call.ts';
import type { GetResult, SecretRequest, SecretWrite } from '../providers/provider.ts';

/** A client, as records name it. Nothing in it is a credential. */
export interface AgentClient {
  readonly door: 'own' | 'vault';
  /** The command that the client runs, such as `get`; default: the agent's own. */
  readonly command?: string | undefined;
  /** How the client names its program: a user agent. Cleaned and shortened when it is recorded. */
  readonly program?: string | undefined;
  readonly pid?: number | undefined;
  /** The token's accessor, never the token. */
  readonly token?: string | undefined;
  readonly address?: string | undefined;
  readonly reason?: string | undefined;
}

export interface AgentStore {
  readonly name: string;
  /** Kind of provider, such as `aws`. */
  readonly provider: string;
  readonly isDefault: boolean;
}

/** Where a value came from. `stale`: from the agent's memory, because the store did not answer. */
export type Origin = 'store' | 'cache' | 'stale';

export interface Served {
  readonly secret: SecretVersion;
  /** When the store gave it to the agent. */
  readonly fetchedAt: Date;
  readonly from: Origin;
}

/** One result of a batch, in the order of the requests. */
export type ServedResult =
  | ({ readonly ok: true } & Served)
  | { readonly ok: false; readonly error: Extract<GetResult, { ok: false }>['error'] };

export interface AgentStores {
  /** Every store of the agent's configuration that may be used, the default one first. */
  list(): Promise<readonly AgentStore[]>;

  /** @throws SecretsError as `Provider.get` has them; Usage for an unknown store, Policy for an untrusted one */
  get(client: AgentClient, store: string, request: SecretRequest, call: CallOptions): Promise<Served>;

  /** @throws SecretsError NotFound */
  describe(client: AgentClient, store: string, name: string, call: CallOptions): Promise<SecretInfo>;

  /** Newest first. @throws SecretsError Unsupported if the store has no versions */
  versions(
    client: AgentClient,
    store: string,
    name: string,
    call: CallOptions,
  ): Promise<readonly VersionInfo[]>;

  /** The secrets whose names start with this text. Recorded before the first one is yielded. */
  names(client: AgentClient, store: string, prefix: string, call: CallOptions): AsyncIterable<SecretInfo>;

  /** Whether `put` may write this secret: `--write`. */
  mayWrite(store: string, name: string): boolean;

  /** @throws SecretsError Policy unless `--write` allows it */
  put(
    client: AgentClient,
    store: string,
    name: string,
    write: SecretWrite,
    call: CallOptions,
  ): Promise<VersionInfo>;

  /** Records what a door has refused. @throws SecretsError Policy if it can't be recorded, and must be */
  refused(client: AgentClient, what: Refused): Promise<void>;

  /** Forgets every value. @returns how many */
  clear(): number;

  status(): CacheStatus;
}

/** What a client asked for without the right to it; without a store: it isn't known at all. */
export interface Refused {
  readonly action: AuditAction;
  readonly store?: string | undefined;
  /** The name of a secret, or the start of names. */
  readonly name?: string | undefined;
}

export interface CacheStatus {
  readonly values: number;
  readonly bytes: number;
  /** Age of the oldest value. */
  readonly oldestMs: number | undefined;
  readonly hits: number;
  readonly misses: number;
  /** How many stores are open. */
  readonly stores: number;
}
