/** `versions`: the store keeps old versions; `get` accepts `version`. */
import type { CallOptions } from '../call.ts';
import type { VersionInfo } from '../../core/secret.ts';
import type { PromoteOptions } from './stages.ts';

export interface Versions {
  /** Every version, newest first. @throws SecretsError NotFound */
  history(name: string, options: CallOptions): AsyncIterable<VersionInfo>;

  /**
   * Makes an existing enabled (or pending) version current: moves the label if the service has labels, otherwise writes
   * its value as a new version. Returns the version that is now current. A version that is already current stays
   * current, and nothing is written.
   * @throws SecretsError Conflict with `ifPending`, for a version that is neither pending nor current any more
   */
  makeCurrent(name: string, version: string, options: PromoteOptions): Promise<VersionInfo>;
}
