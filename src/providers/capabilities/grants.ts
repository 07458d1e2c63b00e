/** Who may read a secret, as the service’s policies say it. */
import type { CallOptions } from '../call.ts';
import type { Grant } from '../../core/secret.ts';

/** Reads the policies. */
export interface Grants {
  /**
   * Who may read the secret, by policies that the service shows: its own, or those of the store that match it. What
   * identities may do by policies of their own is not in it.
   * @throws SecretsError NotFound, Denied where the caller may not see policies
   */
  grants(name: string, options: CallOptions): Promise<readonly Grant[]>;
}
