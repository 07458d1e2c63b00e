/**
 * The chain around a provider, in the order of a call: guard → recorder → policies → keeping values out of messages →
 * provider. The guard decides once, when the store is opened; the others wrap every call.
 */
import { recorded } from '../audit/recording/recorded.ts';
import type { StoreConfig } from '../config/config.ts';
import { SecretsError } from '../core/errors.ts';
import type { CallOptions } from '../providers/call.ts';
import type { ProviderContext, ProviderDescriptor } from '../providers/descriptor.ts';
import type { Provider } from '../providers/provider.ts';
import { guard } from './guard.ts';
import { keepingOut } from './keeping-out.ts';
import type { Policies } from './policies.ts';
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
  readonly policies: Policies;
  /** Called when the provider is created, because it inspects the machine. */
  readonly context: () => ProviderContext;
  readonly call: CallOptions;
  /** Called after each change of a secret. */
  readonly changed?: () => Promise<void>;
}

/** @throws SecretsError Policy from the guard, Usage for invalid settings */
export async function openChain(parts: ChainParts): Promise<Provider> {
  const { store, extra, file, descriptor, records, policies, context, call, changed } = parts;
  const { name, provider: kind } = store;
  if (descriptor === undefined) throw unknownProvider(name, kind);
  await guard(store, file);
  await policies.checkNamed(store, extra, records.named(name, extra));
  const recorder = await records.recorder();
  const settings = { ...store.settings, ...extra };
  const opened = await openProvider(descriptor, { settings, context, call });
  const { provider, permits } = await policies.around(opened.provider, store, extra);
  return recorded({ provider, recorder, store: name, kind, changed, permits });
}

interface ProviderParts {
  readonly settings: StoreConfig['settings'];
  readonly context: () => ProviderContext;
  readonly call: CallOptions;
}

/**
 * Opens a provider and keeps values out of its messages.
 * @returns with `isReady`, which is false if each of its calls would fail as its preparation did
 */
export async function openProvider(
  descriptor: ProviderDescriptor,
  { settings, context, call }: ProviderParts,
): Promise<{ readonly provider: Provider; readonly isReady: boolean }> {
  const { open } = await descriptor.load();
  const provider = keepingOut(await open(settings, context(), call));
  const isReady = (await provider.prepare?.(call)) ?? true;
  return { provider, isReady };
}

export function unknownProvider(store: string, kind: string): SecretsError {
  return new SecretsError('Usage', `store ${store} has an unknown provider ${kind}`);
}
