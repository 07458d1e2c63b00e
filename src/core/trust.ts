/** Settings of a found secrets.yaml, and what in them needs the user’s trust. */
import type { JsonValue } from './json.ts';

/** Settings of a store, already validated by the descriptor's schema. */
export type StoreSettings = Readonly<Record<string, JsonValue>>;

/** A line of what an untrusted secrets.yaml wants: it sends a credential somewhere or runs something. */
export interface TrustItem {
  /** The setting, such as `address`. */
  readonly setting: string;
  readonly value: string;
  /** What it means, as a clause: "your Vault token is sent to this server". */
  readonly effect: string;
}

/** A line of a found secrets.yaml that is not acted on before the user has trusted the file. */
export interface TrustLine extends TrustItem {
  /** The whole path of the setting, such as `stores.team.address`. */
  readonly setting: string;
  readonly line: number;
}
