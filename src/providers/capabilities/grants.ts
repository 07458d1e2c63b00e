/** Who may read a secret, according to the service's policies. */
import type { CallOptions } from '../call.ts';
import type { Grant } from '../../core/secret.ts';

export interface Grants {
  /**
   * Who may read the secret according to the policies that the service shows: the secret's own, or the store's policies
   * that match it. Identity-based policies are not included.
   * @throws SecretsError NotFound, Denied if the caller may not see policies
   */
  grants(name: string, options: CallOptions): Promise<readonly Grant[]>;
}
