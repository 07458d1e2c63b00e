/** What the command line and a running agent say to each other. docs/agent.md says what it guarantees. */
import type { JsonValue } from '../json.ts';
import type { StoreSettings } from '../trust.ts';

/** Changes when a message does. The two sides must have the same. */
export const AGENT_PROTOCOL = 1;

/** The agent's first message on each connection. The client says nothing before it. */
export interface AgentHello {
  readonly agent: 'secrets';
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
}

export type AgentRequest =
  | { readonly op: 'clear' | 'stop' }
  /** With an identity, the answer says whether such a client would be served. */
  | { readonly op: 'status'; readonly identity?: AgentIdentity | undefined }
  /** Something was written to a store of this kind: its values are out of date. */
  | { readonly op: 'drop'; readonly provider: string }
  | AgentRead
  | AgentGet;

/** Who the client would be for the store, and how it would record: the agent only answers if it would be the same. */
export interface AgentIdentity {
  readonly version: string;
  readonly home: string;
  /** Digest of the variables that a store's sign-in may depend on. */
  readonly environment: string;
  /** Digest of where and how accesses are recorded. */
  readonly log: string;
}

/**
 * `secrets get REF` of a client that has read no configuration: the agent reads it, with the client's variables and in its
 * folder, and answers only with a value that it holds. Everything else the client does itself.
 */
export interface AgentGet {
  readonly op: 'get';
  readonly identity: Omit<AgentIdentity, 'log'>;
  /** What the client sees of the file system, and may open there: the agent must see and may open the same. */
  readonly place: string;
  readonly cwd: string;
  readonly reference: string;
  /** The variables of the request itself, such as SECRETS_PROFILE, which aren't in the identity. */
  readonly variables: Readonly<Record<string, string>>;
  /** It prints on a terminal, which may not get every value. */
  readonly terminal: boolean;
  readonly pid: number;
}

export interface AgentRead {
  readonly op: 'read';
  readonly identity: AgentIdentity;
  readonly mode: 'required' | 'best-effort';
  readonly store: {
    readonly name: string;
    readonly provider: string;
    readonly settings: StoreSettings;
    readonly native?: StoreSettings | undefined;
  };
  readonly cwd: string;
  /** Digest of the state of the files with credentials. */
  readonly credentials: string;
  readonly client: {
    readonly command: string;
    readonly pid: number;
    readonly reason?: string | undefined;
  };
  readonly requests: readonly {
    readonly name: string;
    readonly version?: string | undefined;
    readonly stage?: string | undefined;
    readonly keys?: readonly string[] | undefined;
  }[];
  /** How long the client waits. */
  readonly waitMs: number;
}

/** Why the agent doesn't answer a request, which the client then does without it. */
export type AgentRefusal = 'version' | 'home' | 'environment' | 'log' | 'store' | 'request' | 'stopping';

export type AgentAnswer =
  /** It is still at work. Sent so often that silence means that it hangs. */
  | { readonly waiting: true }
  | { readonly refused: AgentRefusal; readonly detail?: string | undefined }
  | { readonly results: readonly AgentResult[] }
  /** What `get` prints, in base64. */
  | { readonly value: string }
  | { readonly done: JsonValue };

export type AgentResult =
  | { readonly secret: AgentSecret; readonly from: 'store' | 'cache' | 'stale'; readonly fetchedAt: string }
  | {
      readonly error: { readonly kind: string; readonly message: string; readonly hint?: string | undefined };
    };

/** A version with its value: times are ISO 8601, the value base64. */
export interface AgentSecret {
  readonly name: string;
  readonly id: string;
  readonly state: string;
  readonly stages: readonly string[];
  readonly value: string;
  readonly createdAt?: string | undefined;
  readonly createdBy?: string | undefined;
  readonly expiresAt?: string | undefined;
  readonly note?: string | undefined;
  readonly soleKey?: string | undefined;
}

/** How often the agent says that it is at work, and after which silence the client gives it up. */
export const AGENT_PULSE_MS = 500;
export const AGENT_SILENCE_MS = 2500;
/** How long the client waits for the first message. */
export const AGENT_HELLO_MS = 700;
