/** How a command asks for what not every provider can do. */
import { SecretsError } from '../../core/errors.ts';
import type { Provider } from '../provider.ts';

type OptionalMethod =
  | 'history'
  | 'makeCurrent'
  | 'restore'
  | 'purge'
  | 'keepAlive'
  | 'rekey'
  | 'setLabels'
  | 'grants'
  | 'trail'
  | 'nativeRotation';

/**
 * The provider's optional method, bound, or one clear line when it has none.
 * @throws SecretsError Unsupported
 */
export function requireMethod<M extends OptionalMethod>(
  provider: Provider,
  method: M,
  missing: string,
  hint?: string,
): NonNullable<Provider[M]> {
  const found = provider[method];
  if (found === undefined) throw new SecretsError('Unsupported', missing, { hint });
  return found.bind(provider) as NonNullable<Provider[M]>;
}
