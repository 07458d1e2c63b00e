/** `soft-delete`: `delete` can be undone within a recovery window. */
import type { CallOptions } from '../call.ts';

export interface SoftDelete {
  /** Undoes `delete`. @throws SecretsError NotFound when there is nothing to restore */
  restore(name: string, options: CallOptions): Promise<void>;
}

/** Permanent deletion; also for stores that keep versions but have no `soft-delete`. */
export interface Purge {
  /**
   * Permanently deletes a live or soft-deleted secret with all its versions, or one version of it. A pending version
   * can always be discarded (`stages`).
   * @throws SecretsError NotFound, Unsupported (for a version, if the service can't)
   */
  purge(name: string, version: string | undefined, options: CallOptions): Promise<void>;
}
