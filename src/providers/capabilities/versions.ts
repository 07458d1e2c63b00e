/** `versions`: keeps old versions; `get` takes `version`. */
import type { CallOptions } from '../call.ts';
import type { VersionInfo } from '../../core/secret.ts';
import type { PromoteOptions } from './stages.ts';

/** Lists old versions, and brings one back. */
export interface Versions {
  /** `versions`: every version, newest first. @throws SecretsError NotFound */
  history(name: string, options: CallOptions): AsyncIterable<VersionInfo>;

  /**
   * `versions`: makes an existing enabled (or pending) version current: by moving the label where the service
   * has labels, else by writing its value as a new version. Returns the version that is now current. What is
   * current already stays so, without another version.
   * @throws SecretsError Conflict with `ifPending`, for a version that is neither pending nor current any more
   */
  makeCurrent(name: string, version: string, options: PromoteOptions): Promise<VersionInfo>;
}
