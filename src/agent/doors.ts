/** Doors: the ways into a running agent. Each one listens by itself and asks the same stores. */
import type { JsonValue } from '../core/json.ts';
import type { World } from '../platform/world.ts';
import type { AgentStores } from './stores.ts';

export interface Door {
  readonly name: AgentDoorName;
  /** Where it listens: a path, or a URL. */
  readonly address: string;
  /** What `agent status` shows of it. No value, and no token. */
  status(): Readonly<Record<string, JsonValue>>;
  /** Ends every connection. Called once. */
  stop(): Promise<void>;
}

export type AgentDoorName = 'own' | 'vault';

/** What a door may use of the agent. */
export interface DoorContext {
  readonly stores: AgentStores;
  readonly world: World;
  /** A request has come: the agent isn't idle. */
  readonly used: () => void;
  readonly warn: (message: string) => void;
  readonly debug: (message: string) => void;
}
