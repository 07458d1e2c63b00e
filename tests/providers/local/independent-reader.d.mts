/** A version as the independent reader sees it; without a value, `note` says why. */
export interface ReadVersion {
  readonly id: string;
  readonly number: number;
  readonly state: 'enabled' | 'destroyed';
  readonly stages: readonly string[];
  readonly createdAt: Date;
  readonly expiresAt?: Date;
  readonly by?: string;
  readonly note?: string;
  readonly value?: Buffer;
}

export interface ReadSecret {
  readonly deleted: boolean;
  /** Milliseconds since 1970. */
  readonly deletedAt: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string | undefined;
  /** Newest first. */
  readonly versions: readonly ReadVersion[];
}

export interface ReadStore {
  readonly storeId: string;
  readonly names: 'hidden' | 'visible';
  readonly secrets: ReadonlyMap<string, ReadSecret>;
  readonly damaged: readonly { readonly where: string; readonly why: string }[];
}

/** What opens the store: one of these. */
export interface Unlock {
  readonly passphrase?: string;
  readonly keyFile?: string;
  /** The text in the key chain. */
  readonly key?: string;
  readonly identities?: readonly string[];
}

/** Reads a whole store. Errors carry a `code`: not-found, integrity, unknown-format, not-authenticated, refused, usage. */
export function readStore(folder: string, unlock: Unlock): Promise<ReadStore>;
