/** What is known of a secret and of its versions: the words that providers, commands and the report share. */
import type { NativeRotation } from './rotation/native.ts';

/** `enabled` can be read; `disabled` could be again; `deleted` could be restored; `destroyed` is gone for good. */
export type VersionState = 'enabled' | 'disabled' | 'deleted' | 'destroyed';

/** What is known of one immutable version, without its value. */
export interface VersionInfo {
  /** The provider's own id of the version; `get` takes it as `version`. */
  readonly id: string;
  readonly state: VersionState;
  /** `current`, `previous`, `pending` and native labels that point at this version. */
  readonly stages: readonly string[];
  readonly createdAt?: Date | undefined;
  /** Who wrote it, where the service keeps that. */
  readonly createdBy?: string | undefined;
  readonly expiresAt?: Date | undefined;
  /** A remark for people, such as "written beside version 4 on another branch". */
  readonly note?: string | undefined;
  /** The service's id of the call that this is the answer of, where its own trail names the call by it. */
  readonly requestId?: string | undefined;
}

/** One version with its value. */
export interface SecretVersion extends VersionInfo {
  readonly name: string;
  readonly value: Uint8Array;
  /**
   * The one key of the map that holds the value, where a service stores maps (Vault KV) and the value is not one.
   * `#key` reads the value by it. Otherwise `#key` selects from the value, which is a JSON object.
   */
  readonly soleKey?: string | undefined;
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
   * When somebody read it last, where the service keeps that (to the day, say); `never` where it says that nobody
   * has. Missing: not known.
   */
  readonly lastReadAt?: Date | 'never' | undefined;
  /** Set when the secret is soft-deleted. */
  readonly deletedAt?: Date | undefined;
  /** When a soft-deleted secret will be gone for good. */
  readonly purgeAt?: Date | undefined;
  /** Id of the current version, where the service says it without a further call. */
  readonly currentVersion?: string | undefined;
  /**
   * `native-rotation`: what the service does by itself, where it says so in the same answer. An attempt under way then
   * has no reason of a failure yet: `NativeRotations.read` looks for it.
   */
  readonly rotation?: NativeRotation | undefined;
}

/** Somebody whom the service lets read a secret, as a policy says it. */
export interface Grant {
  /** As the service writes it: `*`, `arn:aws:iam::123456789012:root`, `allUsers`, a policy's name. */
  readonly principal: string;
  /**
   * `public`: anybody at all. `wildcard`: everybody who is signed in to the service. `account`: a whole account,
   * domain or project, or a policy about everything in the store. `named`: whom the policy names.
   */
  readonly breadth: 'public' | 'wildcard' | 'account' | 'named';
  /** A condition narrows it, which is not understood here. */
  readonly conditional?: boolean | undefined;
  /** Where it stands, as a noun phrase: "its resource policy", "the policy ci, path secret/data/*". */
  readonly through: string;
  /** It stands outside of the secret and is about many. */
  readonly shared?: boolean | undefined;
}
