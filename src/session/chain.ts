/**
 * The chain around a provider, in the order of a call: guard → recorder → keeping values out of messages → provider.
 * The guard decides once, when the store is opened; the others wrap every call.
 */
import { recorded } from '../audit/recording/recorded.ts';
import type { StoreConfig } from '../config/config.ts';
import { SecretsError } from '../core/errors.ts';
import type { CallOptions } from '../providers/call.ts';
import type { ProviderContext, ProviderDescriptor } from '../providers/descriptor.ts';
import type { Provider } from '../providers/provider.ts';
import { guard } from './guard.ts';
import { keepingOut } from './keeping-out.ts';
import type { Records } from './records.ts';
import type { Target } from './resolver.ts';

export interface ChainParts {
  readonly store: StoreConfig;
  /** Settings that a native identifier implies. */
  readonly extra: Target['native'];
  /** The project's secrets.yaml. */
  readonly file: string | undefined;
  readonly descriptor: ProviderDescriptor | undefined;
  readonly records: Records;
  /** Called when the provider is created, because it inspects the machine. */
  readonly context: () => ProviderContext;
  readonly call: CallOptions;
  /** Called after each change of a secret. */
  readonly changed?: () => Promise<void>;
}

/** @throws SecretsError Policy from the guard, Usage for invalid settings */
export async function openChain(parts: ChainParts): Promise<Provider> {
  const { store, extra, file, descriptor, records, context, call, changed } = parts;
  const { name, provider: kind, settings } = store;
  if (descriptor === undefined)
    throw new SecretsError('Usage', `store ${name} has an unknown provider ${kind}`);
  await guard(store, file);
  const { open } = await descriptor.load();
  const recorder = await records.recorder();
  const provider = keepingOut(await open({ ...settings, ...extra }, context(), call));
  await provider.prepare?.(call);
  return recorded({ provider, recorder, store: name, kind, changed });
}
