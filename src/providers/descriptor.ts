/** Descriptors: what `secrets` knows about a kind of provider before loading its code, and how to open one. */
import type { JsonValue } from '../core/json.ts';
import type { StoreSettings, TrustItem } from '../core/trust.ts';
import type { CallOptions } from './call.ts';
import type { Provider } from './provider.ts';
import type { HarmlessSettings } from './trust.ts';

export interface SignInPlace extends Pick<Environment, 'env' | 'home'> {
  /** The text of a file; undefined if it can't be read. */
  readonly read: (path: string) => string | undefined;
}

/**
 * Has to be cheap to import, because every command imports all descriptors: no SDK, no schema library, nothing else
 * that is slow to load. src/providers/registry.ts lists the descriptors.
 */
export interface ProviderDescriptor {
  /** `aws`, `vault`, `local`: the value of `provider:`, and the name of the default store of this kind. */
  readonly kind: string;
  readonly title: string;
  /**
   * Environment variables that hold this provider's own credentials; removed from the environment of `exec`'s child.
   */
  readonly credentialVariables: readonly string[];
  /**
   * Files with the user's credentials, or that say which ones are used, other than those that variables and settings
   * name. A path that ends in `/*` means every file of that folder. A running agent signs in anew when one of them
   * changes.
   */
  readonly credentialFiles?: (place: SignInPlace) => readonly string[];
  /**
   * Whether the user may be signed in by another program, whose files aren't known. A running agent then signs in anew
   * every few minutes.
   */
  readonly signsInElsewhere?: (place: SignInPlace, settings: StoreSettings) => boolean;
  /** Parses a native identifier (such as an ARN); `undefined` if it isn't one of this provider's. */
  readonly native?: (text: string) => NativeReference | undefined;
  /** The settings that need trust when they come from a secrets.yaml in the working tree: see `trustItemsFor`. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** Settings that need no trust, each with its reason. */
  readonly harmless?: HarmlessSettings;
  /**
   * Settings that hold a path, by their dotted name. Relative paths start at the folder of the secrets.yaml. The
   * content of a `pinned` file is trusted together with the secrets.yaml; `data` is a folder, or a file that other
   * programs keep writing to.
   */
  readonly files?: Readonly<Record<string, 'pinned' | 'data'>>;
  /**
   * For `secrets init`: whether this machine is set up for this provider. If missing, a set credential variable counts
   * as evidence.
   */
  readonly detect?: (environment: Environment) => Detection | undefined;
  /** `native-rotation`: the settings under `native:` in a policy for a secret in such a store. */
  readonly nativeRotation?: NativeRotationDescriptor;
  /** Loads the schema of the settings (a valibot object schema). Only called when a config file is read. */
  readonly schema: () => Promise<ProviderSettingsSchema>;
  /** Loads the adapter. */
  readonly load: () => Promise<ProviderModule>;
}

export interface NativeRotationDescriptor {
  /** See `ProviderDescriptor.trustItems`. */
  readonly trustItems: (settings: StoreSettings) => readonly TrustItem[];
  /** Loads the schema of the settings, which are all strings. Only called when a config file has some. */
  readonly schema: () => Promise<ProviderSettingsSchema>;
}

/** A secret named by a native identifier. */
export interface NativeReference {
  readonly name: string;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  /** Settings the identifier implies, such as an ARN's region. */
  readonly settings?: Readonly<Record<string, JsonValue>> | undefined;
}

/** What `secrets init` may inspect: names and paths, never the content of a credential. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  exists(path: string): boolean;
}

/** A store that could be used here. */
export interface Detection {
  /** The evidence, as a noun: "$VAULT_ADDR", "~/.aws/config". */
  readonly evidence: string;
  /** Settings that are useful to the whole team; no credentials and nothing personal. */
  readonly settings: StoreSettings;
}

/** Opaque here: a valibot strict object schema of the settings other than `provider`. */
export type ProviderSettingsSchema = import('valibot').GenericSchema;

/** The exports of a provider folder's entry module. */
export interface ProviderModule {
  /**
   * Creates the provider; for a program, starts it within the given time. @throws SecretsError Usage for bad settings
   */
  open(
    settings: StoreSettings,
    context: ProviderContext,
    options?: CallOptions,
  ): Provider | Promise<Provider>;
}

/** What a provider gets from the process it runs in. */
export interface ProviderContext {
  /** The store's name, used in messages. */
  readonly store: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The user's home folder. */
  readonly home: string;
  readonly cwd: string;
  readonly now: () => Date;
  /** The process lives longer than files with credentials stay as they are: what a library remembers is read again. */
  readonly rereadsFiles?: boolean | undefined;
  /** Prints a line to the user on stderr. */
  readonly warn: (message: string) => void;
  /** Prints a `--debug` line. Never pass a value. */
  readonly debug: (message: string) => void;
  /** Shows a person at a terminal what the call is waiting for. */
  readonly progress?: ((message: string) => void) | undefined;
  /** Asks the user for a passphrase at the terminal; `undefined` if there is no terminal. */
  readonly askHidden: ((question: string) => Promise<string>) | undefined;
}
