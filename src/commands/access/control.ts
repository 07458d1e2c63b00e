/** How commands get at the policies of a store. */
import { requireMethod } from '../../providers/capabilities/require.ts';
import type { AccessControl } from '../../providers/capabilities/grants.ts';
import type { Provider } from '../../providers/provider.ts';

/** @param store what messages call the store @throws SecretsError Unsupported */
export function controlOf(provider: Provider, store: string): Promise<AccessControl> {
  return requireMethod(
    provider,
    'accessControl',
    `access isn’t available for ${store} stores yet`,
    'use the service’s own tool',
  )();
}
