/** `trail`: the service's own record of accesses. */
import type { AuditEvent } from '../../core/audit/record.ts';
import type { CallOptions } from '../call.ts';

/** Which part of a service's trail to read. */
export interface TrailQuery {
  /** One secret; the whole store if missing. */
  readonly name?: string | undefined;
  readonly since: Date;
  readonly until: Date;
  /** The lines from `--from FILE`, for trails that are files (Vault, Conjur). */
  readonly lines?: AsyncIterable<string> | undefined;
}

export interface Trail {
  /**
   * The service's own record of accesses, in the service's order (usually newest first), page by page. Warns through
   * the context about anything that the trail can't show, such as a log that is switched off.
   * @throws SecretsError Denied, Usage if the trail has to be configured first
   */
  trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent>;
}
