/**
 * `stages`: `get` takes stage `current`, `previous` and `pending`; `put` takes `stage: 'pending'`.
 *
 * A pending version is kept natively, or in a sibling secret whose name is the secret's with a documented
 * suffix. Its id is then `pending:` and the sibling's own version id; `get`, `makeCurrent` and `purge` take it.
 * - Until it is promoted, nothing that reads the current version sees it: not `get`, `list` and `describe`, not
 *   the service's own clients. A sibling is in no list.
 * - There is one at most. `history` shows it with stage `pending` and leaves `current` and `previous` alone.
 * - `makeCurrent` promotes it: it is current, the old current one previous, and none is pending. A second time
 *   it is `NotFound` or gives the same version, and never writes another.
 * - `purge` with its id discards it alone; `delete` and `purge` of the secret leave none behind.
 */
import type { CallOptions } from '../call.ts';

/** Of `makeCurrent`. */
export interface PromoteOptions extends CallOptions {
  /**
   * Only while the version is pending: a rotation that was rolled back must not come back. Where the service has no such
   * condition, this is looked at right before.
   */
  readonly ifPending?: boolean;
}
