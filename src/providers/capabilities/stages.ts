/**
 * `stages`: `get` accepts the stages `current`, `previous` and `pending`; `put` accepts `stage: 'pending'`.
 *
 * A pending version is stored natively, or in a sibling secret: the secret's name with a documented suffix. In a
 * sibling, its id is `pending:` followed by the sibling's version id; `get`, `makeCurrent` and `purge` accept that id.
 * - Until it is promoted, it is invisible to anything that reads the current version: `get`, `list`, `describe` and the
 *   service's own clients. A sibling never appears in a list.
 * - There is at most one. `history` shows it with stage `pending` and leaves `current` and `previous` alone.
 * - `makeCurrent` promotes it: it becomes current, the old current version becomes previous, and nothing is pending. A
 *   repeated call fails with `NotFound` or returns the same version; it never writes another.
 * - `purge` with its id discards only the pending version; `delete` and `purge` of the secret leave none behind.
 */
import type { CallOptions } from '../call.ts';

export interface PromoteOptions extends CallOptions {
  /**
   * Promote only if the version is still pending, so that a rotation that was rolled back can't come back. Where the
   * service has no such condition, this is checked right before the promotion.
   */
  readonly ifPending?: boolean;
}
