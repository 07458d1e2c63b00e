/** A rotation that a service performs, or keeps a date for, by itself. */

/** What a service does by itself about one secret's rotation. */
export interface NativeRotation {
  /** Who rotates, for display: "aws lambda rotate-db", "gcp topic rotations". */
  readonly by: string;
  /**
   * `rotates`: the service creates new versions, and nobody else should. `notifies`: it notifies somebody when
   * rotation is due, and can't see the result. `reminds`: it keeps a date.
   */
  readonly role: 'rotates' | 'notifies' | 'reminds';
  /** Whether it is active. A schedule that is switched off still exists. */
  readonly enabled: boolean;
  /** Its settings, in the terms of a policy's `native:`. */
  readonly settings: NativeSettings;
  /** How often, if that is a simple period. */
  readonly everyMs?: number | undefined;
  readonly lastRotated?: Date | undefined;
  /** When rotation is due. A date in the past was missed. */
  readonly next?: Date | undefined;
  /** A rotation that was started and hasn't finished. */
  readonly attempt?: NativeAttempt | undefined;
}

export interface NativeAttempt {
  /** The version that will become current. */
  readonly version: string;
  readonly since?: Date | undefined;
  /** Why it isn't expected to finish any more; in the service's words, if available. */
  readonly failed?: string | undefined;
}

/** Settings in a policy's `native:`, validated by the descriptor's schema. */
export type NativeSettings = Readonly<Record<string, string>>;
