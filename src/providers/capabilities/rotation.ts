/** `native-rotation`: the service itself rotates, calls somebody to do so, or keeps a date. */
import type { CallOptions } from '../call.ts';
import type { NativeRotation, NativeSettings } from '../../core/rotation/native.ts';

/** What a policy wants of a service. */
export interface NativeWish {
  readonly settings: NativeSettings;
  /** The policy's `every`. */
  readonly everyMs: number | undefined;
}

/** A setting that is not as the policy has it. */
export interface NativeChange {
  readonly setting: string;
  readonly from: string | undefined;
  readonly to: string;
}

/** A rotation that was begun: what `watch` needs to know it by. */
export interface NativeStart {
  /** The version that is to become current, where the service names it beforehand. */
  readonly version?: string | undefined;
  /** The version that was current before. */
  readonly before?: string | undefined;
  readonly at: Date;
  /** When the service begins, where that is not at once. */
  readonly startsAt?: Date | undefined;
}

/** How a rotation goes on. */
export interface NativeProgress {
  /** `failed`: the service says so, or it can't come to an end any more. */
  readonly state: 'running' | 'done' | 'failed';
  /** The version that is current now, when it is done. */
  readonly version?: string | undefined;
  /** What is waited for, or why it failed, as a clause. */
  readonly detail: string;
  readonly hint?: string | undefined;
}

/** `native-rotation`: how it is set, begun and watched. Every method takes names as `get` does. */
export interface NativeRotations {
  /** What is set, and how it goes; `undefined` when nothing is. @throws SecretsError NotFound, Denied */
  read(name: string, options: CallOptions): Promise<NativeRotation | undefined>;

  /**
   * What `set` would change; nothing when all is as wished. Changes nothing.
   * @throws SecretsError Invalid for a wish that the service would refuse
   */
  plan(name: string, wish: NativeWish, options: CallOptions): Promise<readonly NativeChange[]>;

  /** Sets it as wished, without a rotation. Twice is as once. */
  set(name: string, wish: NativeWish, options: CallOptions): Promise<void>;

  /** Ends it: from then on the service does nothing by itself. The secret's versions stay. */
  remove(name: string, options: CallOptions): Promise<void>;

  /**
   * Begins a rotation at once, or as early as the service can, with the settings of the wish. Missing: it only reminds,
   * so that somebody else has to rotate, and call `set` then.
   * @param token names this rotation: a repetition with the same one begins no second
   * @throws SecretsError Conflict when one is under way
   */
  start?(name: string, wish: NativeWish, token: string, options: CallOptions): Promise<NativeStart>;

  /** How a rotation that `start` or `read` told of goes on. One look; whoever waits asks again. */
  watch?(name: string, start: NativeStart, options: CallOptions): Promise<NativeProgress>;
}

/** Rotates by itself. */
export interface NativeRotating {
  /** `native-rotation`: loads what it takes. */
  nativeRotation(): Promise<NativeRotations>;
}
