/** A rotation that a service makes, or keeps a date of, by itself. */

/** What a service does by itself about one secret's rotation. */
export interface NativeRotation {
  /** Who rotates, for people: "aws lambda rotate-db", "gcp topic rotations". */
  readonly by: string;
  /**
   * `rotates`: the service has new versions made, and nobody else should. `notifies`: it tells somebody that it is
   * time, and can't see what comes of it. `reminds`: it keeps a date.
   */
  readonly role: 'rotates' | 'notifies' | 'reminds';
  /** Whether it goes on by itself; a schedule that is switched off is still there. */
  readonly enabled: boolean;
  /** How it is set, in the words of a policy's `native:`. */
  readonly settings: NativeSettings;
  /** How often, where that is a plain period. */
  readonly everyMs?: number | undefined;
  readonly lastRotated?: Date | undefined;
  /** When it is to be done at the latest. A date in the past is one that was missed. */
  readonly next?: Date | undefined;
  /** A rotation that has begun and is not done. */
  readonly attempt?: NativeAttempt | undefined;
}

export interface NativeAttempt {
  /** The version that is to become current. */
  readonly version: string;
  readonly since?: Date | undefined;
  /** Why it can't be expected to be done any more; in the service's words, where it has some. */
  readonly failed?: string | undefined;
}

/** Settings inside of a policy's `native:`, as the descriptor's schema has checked them. */
export type NativeSettings = Readonly<Record<string, string>>;
