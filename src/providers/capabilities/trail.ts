/** `trail`: the service’s own record of accesses. */
import type { AuditEvent } from '../../core/audit/record.ts';
import type { CallOptions } from '../call.ts';

/** Which part of a service's trail is wanted. */
export interface TrailQuery {
  /** One secret; without it the whole store. */
  readonly name?: string | undefined;
  readonly since: Date;
  readonly until: Date;
  /** Lines of a trail that is a file (Vault, Conjur), where `--from FILE` gives them. */
  readonly lines?: AsyncIterable<string> | undefined;
}

/** Reads the record. */
export interface Trail {
  /**
   * `trail`: the service's own record of accesses, in its own order (most give the newest first), page by page.
   * Says through the context's `warn` what the trail can't show, such as a log that is switched off.
   * @throws SecretsError Denied, Usage where the trail has to be configured first
   */
  trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent>;
}
