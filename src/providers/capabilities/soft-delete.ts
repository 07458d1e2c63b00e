/** `soft-delete`: `delete` can be undone for a while. */
import type { CallOptions } from '../call.ts';

/** Undoes a deletion. */
export interface SoftDelete {
  /** `soft-delete`: undoes `delete`. @throws SecretsError NotFound when there is nothing to restore */
  restore(name: string, options: CallOptions): Promise<void>;
}

/** Deletes what nothing brings back; also for stores that keep versions and have no `soft-delete`. */
export interface Purge {
  /**
   * Deletes for good, at once, live or soft-deleted: the secret with all its versions, or one version of it.
   * A pending version can always be discarded (`stages`).
   * @throws SecretsError NotFound, Unsupported (for a version, where the service can't)
   */
  purge(name: string, version: string | undefined, options: CallOptions): Promise<void>;
}
