/** What a file contains that secrets are imported from. */

/** A secret in a file: its name relative to the target, and its keys. */
export interface FoundSecret {
  /** Undefined if the secret is the file itself, which has no name. */
  readonly name: string | undefined;
  readonly keys: ReadonlyMap<string, FoundValue>;
}

/** Bytes, a text, or the source text of any other JSON value. */
export type FoundValue =
  | { readonly bytes: Uint8Array }
  | { readonly text: string }
  | { readonly json: string };

export interface FoundFile {
  readonly secrets: readonly FoundSecret[];
  readonly warnings: readonly string[];
}
