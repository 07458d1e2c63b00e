/** What is known of a secret and its versions: the types that providers, commands and the report share. */
import type { NativeRotation } from './rotation/native.ts';

/**
 * `enabled` is readable; `disabled` could be enabled again; `deleted` could be restored; `destroyed` is permanently
 * gone.
 */
export type VersionState = 'enabled' | 'disabled' | 'deleted' | 'destroyed';

/** What is known of one immutable version, without its value. */
export interface VersionInfo {
  /** The provider's own version id; `get` accepts it as `version`. */
  readonly id: string;
  readonly state: VersionState;
  /** `current`, `previous`, `pending` and native labels that point to this version. */
  readonly stages: readonly string[];
  readonly createdAt?: Date | undefined;
  /** Who wrote it, if the service records that. */
  readonly createdBy?: string | undefined;
  readonly expiresAt?: Date | undefined;
  /** A remark for people, such as "written beside version 4 on another branch". */
  readonly note?: string | undefined;
  /** The service's request id of the call that returned this, if its trail uses that id. */
  readonly requestId?: string | undefined;
}

/** One version with its value. */
export interface SecretVersion extends VersionInfo {
  readonly name: string;
  readonly value: Uint8Array;
  /**
   * The only key of the map that contains the value, if the service stores maps (Vault KV) and the value isn't one.
   * `#key` with that name returns the value. Otherwise `#key` selects from the value, which is a JSON object.
   */
  readonly soleKey?: string | undefined;
  /** Set if the store didn't answer, and the agent did from memory: when the store gave it this value. */
  readonly staleSince?: Date | undefined;
}

/** What is known of a secret, without a value. */
export interface SecretInfo {
  readonly name: string;
  /** The service's own identifier, such as an ARN. */
  readonly nativeId?: string | undefined;
  readonly description?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly createdAt?: Date | undefined;
  readonly updatedAt?: Date | undefined;
  readonly expiresAt?: Date | undefined;
  /**
   * When it was last read, if the service records that (perhaps only the day); `never` if the service says so.
   * Missing: not known.
   */
  readonly lastReadAt?: Date | 'never' | undefined;
  /** Set if the secret is soft-deleted. */
  readonly deletedAt?: Date | undefined;
  /** When a soft-deleted secret will be permanently deleted. */
  readonly purgeAt?: Date | undefined;
  /** Id of the current version, if the service returns it without a further call. */
  readonly currentVersion?: string | undefined;
  /** The current version can't be read until it is enabled again. */
  readonly isDisabled?: boolean | undefined;
  /**
   * `native-rotation`: what the service does by itself, if included in the same response. The reason why an attempt
   * has failed isn't included: `NativeRotations.read` looks for it.
   */
  readonly rotation?: NativeRotation | undefined;
}

/** A principal that the service allows to read a secret, according to a policy. */
export interface Grant {
  /** In the service's notation: `*`, `arn:aws:iam::123456789012:root`, `allUsers`, a policy's name. */
  readonly principal: string;
  /**
   * `public`: anybody. `wildcard`: everybody who is signed in to the service. `account`: a whole account, domain or
   * project, or a policy for everything in the store. `named`: the principals that the policy names.
   */
  readonly breadth: 'public' | 'wildcard' | 'account' | 'named';
  /** A condition restricts it, which isn't evaluated here. */
  readonly conditional?: boolean | undefined;
  /** Where the grant is, as a noun phrase: "its resource policy", "the policy ci, path secret/data/*". */
  readonly through: string;
  /** The grant is outside the secret and covers many secrets. */
  readonly shared?: boolean | undefined;
}
