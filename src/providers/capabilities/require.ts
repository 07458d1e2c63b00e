/** How a command asks for an optional capability. */
import { SecretsError } from '../../core/errors.ts';
import type { Optional, Provider } from '../provider.ts';

/**
 * Returns the provider's optional method, bound to it.
 * @throws SecretsError Unsupported, with `missing` as its message, if the provider doesn't have it
 */
export function requireMethod<M extends keyof Optional>(
  provider: Provider,
  method: M,
  missing: string,
  hint?: string,
): NonNullable<Provider[M]> {
  const found = provider[method];
  if (found === undefined) throw new SecretsError('Unsupported', missing, { hint });
  return found.bind(provider) as NonNullable<Provider[M]>;
}
