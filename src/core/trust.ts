/** Settings of a found secrets.yaml, and which of them need the user's trust. */
import type { JsonValue } from './json.ts';

/** Settings of a store, validated by the descriptor's schema. */
export type StoreSettings = Readonly<Record<string, JsonValue>>;

/** A setting of an untrusted secrets.yaml that needs trust: it sends a credential somewhere or runs something. */
export interface TrustItem {
  /** The setting, such as `address`. */
  readonly setting: string;
  readonly value: string;
  /** What it means, as a clause: "your Vault token is sent to this server". */
  readonly effect: string;
}

/** A line of a found secrets.yaml that has no effect until the user has trusted the file. */
export interface TrustLine extends TrustItem {
  /** The full path of the setting, such as `stores.team.address`. */
  readonly setting: string;
  readonly line: number;
}
