/** `native-rotation`: the service rotates the secret itself, triggers something that does, or only tracks a date. */
import type { CallOptions } from '../call.ts';
import type { NativeRotation, NativeSettings } from '../../core/rotation/native.ts';

/** The native rotation that a policy asks for. */
export interface NativeWish {
  readonly settings: NativeSettings;
  /** The policy's `every`. */
  readonly everyMs: number | undefined;
}

/** A setting that differs from the policy. */
export interface NativeChange {
  readonly setting: string;
  readonly from: string | undefined;
  readonly to: string;
}

/** A started rotation: what `watch` needs to identify it. */
export interface NativeStart {
  /** The version that will become current, if the service names it in advance. */
  readonly version?: string | undefined;
  /** The version that was current before. */
  readonly before?: string | undefined;
  readonly at: Date;
  /** When the service starts, if that isn't immediately. */
  readonly startsAt?: Date | undefined;
}

/** The progress of a rotation. */
export interface NativeProgress {
  /** `failed`: the service reports a failure, or the rotation can no longer finish. */
  readonly state: 'running' | 'done' | 'failed';
  /** When done: the version that is now current. */
  readonly version?: string | undefined;
  /** What is still awaited, or why the rotation failed, as a clause. */
  readonly detail: string;
  readonly hint?: string | undefined;
}

/** Configures, starts and watches native rotation. Every method accepts the names that `get` accepts. */
export interface NativeRotations {
  /** The current configuration and state; `undefined` when none is configured. @throws SecretsError NotFound, Denied */
  read(name: string, options: CallOptions): Promise<NativeRotation | undefined>;

  /**
   * What `set` would change; empty when nothing would. Changes nothing.
   * @throws SecretsError Invalid for a configuration that the service would reject
   */
  plan(name: string, wish: NativeWish, options: CallOptions): Promise<readonly NativeChange[]>;

  /** Applies the configuration without starting a rotation. Idempotent. */
  set(name: string, wish: NativeWish, options: CallOptions): Promise<void>;

  /** Turns native rotation off. The secret's versions stay. */
  remove(name: string, options: CallOptions): Promise<void>;

  /**
   * Starts a rotation now, or as early as the service can, with the wished settings. Missing for a service that only
   * sends reminders: something else has to rotate and then call `set`.
   * @param token identifies this rotation: repeating the call with the same token doesn't start a second one
   * @throws SecretsError Conflict when a rotation is already in progress
   */
  start?(name: string, wish: NativeWish, token: string, options: CallOptions): Promise<NativeStart>;

  /** The progress of a rotation that `start` or `read` reported. Checks once; the caller polls. */
  watch?(name: string, start: NativeStart, options: CallOptions): Promise<NativeProgress>;
}

export interface NativeRotating {
  /** Loads the implementation on first use. */
  nativeRotation(): Promise<NativeRotations>;
}
