/**
 * The kinds of things that a secrets.yaml may name. The program hands them in, so that neither the configuration nor a
 * session knows one by name.
 */
import type { GenericSchema } from 'valibot';
import type { StoreSettings, TrustItem } from '../core/trust.ts';
import type { World } from '../platform/world.ts';
import type { ProviderDescriptor } from '../providers/descriptor.ts';

/** What reading a policy's `target:` takes of a kind of target. */
export interface TargetKind {
  /** The word in `target: { type: … }`. */
  readonly type: string;
  /** The lines of the settings that need the user's trust. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** The settings beside `type`. */
  readonly schema: () => Promise<GenericSchema>;
}

export interface Kinds {
  readonly providers: readonly ProviderDescriptor[];
  /** Only asked for where a file has a policy. */
  readonly targets: () => Promise<readonly TargetKind[]>;
}

/** The machine, and what is known on it. */
export type ProgramWorld = World & Kinds;
