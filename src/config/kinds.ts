/**
 * The kinds of providers and targets that a secrets.yaml may name. The program passes them in, so that neither the
 * configuration nor a session refers to one by name.
 */
import type { GenericSchema } from 'valibot';
import type { StoreSettings, TrustItem } from '../core/trust.ts';
import type { World } from '../platform/world.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';

/** What is needed of a kind of target to read a policy's `target:`. */
export interface TargetKind {
  /** The word in `target: { type: … }`. */
  readonly type: string;
  /** The lines of the settings that need the user's trust. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** The settings other than `type`. */
  readonly schema: () => Promise<GenericSchema>;
}

export interface Kinds {
  readonly providers: readonly ProviderDescriptor[];
  /** Only called if a file has a policy. */
  readonly targets: () => Promise<readonly TargetKind[]>;
}

/** The provider of this kind, as `provider:` in a secrets.yaml names it. */
export function descriptorOf(
  { providers }: Pick<Kinds, 'providers'>,
  kind: string,
): ProviderDescriptor | undefined {
  return providers.find((descriptor) => descriptor.kind === kind);
}

/** The machine, and the kinds of providers and targets. */
export type ProgramWorld = World & Kinds;
