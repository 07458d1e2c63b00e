/** What is known of a kind of provider before its code is loaded, and how one is opened. */
import type { JsonValue } from '../core/json.ts';
import type { StoreSettings, TrustItem } from '../core/trust.ts';
import type { CallOptions } from './call.ts';
import type { Provider } from './provider.ts';
import type { HarmlessSettings } from './trust.ts';

/**
 * What is known of a kind of provider before its code is loaded: cheap to import, it must not import an SDK,
 * a schema library or anything else that costs time. src/providers/registry.ts lists the descriptors.
 */
export interface ProviderDescriptor {
  /** `aws`, `vault`, `local`: the word in `provider:` and the name of the store every kind has by default. */
  readonly kind: string;
  readonly title: string;
  /** Environment variables that hold this provider's own credentials: kept out of `exec`'s child. */
  readonly credentialVariables: readonly string[];
  /** Recognises a native identifier (an ARN, …); `undefined` when it is none of this provider's. */
  readonly native?: (text: string) => NativeReference | undefined;
  /** The lines of a store's settings that need trust when they come from a found secrets.yaml: see `trustItemsFor`. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** Settings that need none, each with its reason. */
  readonly harmless?: HarmlessSettings;
  /**
   * Settings that hold a path, by their dotted name. A relative one starts at the folder of the secrets.yaml. What a
   * `pinned` file holds is trusted with the secrets.yaml; `data` is a folder, or a file that others go on writing to.
   */
  readonly files?: Readonly<Record<string, 'pinned' | 'data'>>;
  /**
   * Whether this machine is set up for this provider, for `secrets init`. Without it, a set credential variable
   * speaks for the provider.
   */
  readonly detect?: (environment: Environment) => Detection | undefined;
  /** `native-rotation`: what stands under `native:` of a policy for a secret in such a store. */
  readonly nativeRotation?: NativeRotationDescriptor;
  /** Loads the schema of the settings (a valibot object schema); only asked for when a config is read. */
  readonly schema: () => Promise<ProviderSettingsSchema>;
  /** Loads the adapter. */
  readonly load: () => Promise<ProviderModule>;
}

export interface NativeRotationDescriptor {
  /** As `ProviderDescriptor.trustItems`. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** Loads the schema of the settings, all of them texts: only asked for when a config has some. */
  readonly schema: () => Promise<ProviderSettingsSchema>;
}

/** A secret as a native identifier names it. */
export interface NativeReference {
  readonly name: string;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  /** Settings the identifier implies, such as an ARN's region. */
  readonly settings?: Readonly<Record<string, JsonValue>> | undefined;
}

/** What `secrets init` may look at: names and places, never what a credential holds. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  exists(path: string): boolean;
}

/** A store that could be used here. */
export interface Detection {
  /** What speaks for it, as a noun: "$VAULT_ADDR", "~/.aws/config". */
  readonly evidence: string;
  /** Settings worth writing down for the whole team; none that is a credential or one person's own. */
  readonly settings: StoreSettings;
}

/** Opaque here: a valibot strict object schema, whose keys are the settings beside `provider`. */
export type ProviderSettingsSchema = import('valibot').GenericSchema;

/** What a provider's folder exports from its entry module. */
export interface ProviderModule {
  /** Makes the provider; starts one that is a program, in the time given. @throws SecretsError Usage for bad settings */
  open(
    settings: StoreSettings,
    context: ProviderContext,
    options?: CallOptions,
  ): Provider | Promise<Provider>;
}

/** What a provider may know of the machine it runs on. */
export interface ProviderContext {
  /** The store's name, for messages. */
  readonly store: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  readonly cwd: string;
  readonly now: () => Date;
  /** A line for the user on stderr. */
  readonly warn: (message: string) => void;
  /** A line for `--debug`. Never a value. */
  readonly debug: (message: string) => void;
  /** What a call waits for, shown to a person at a terminal while it does. */
  readonly progress?: ((message: string) => void) | undefined;
  /** Asks the user for a passphrase at the terminal; `undefined` where there is none. */
  readonly askHidden: ((question: string) => Promise<string>) | undefined;
}
