/** What is found in a file that secrets are imported from. */

/** A secret found in a file: its name below the target, and its keys. */
export interface FoundSecret {
  /** Undefined for the file itself, which has no name. */
  readonly name: string | undefined;
  readonly keys: ReadonlyMap<string, FoundValue>;
}

/** Bytes, a text, or any other JSON value by its source. */
export type FoundValue =
  | { readonly bytes: Uint8Array }
  | { readonly text: string }
  | { readonly json: string };

export interface FoundFile {
  readonly secrets: readonly FoundSecret[];
  readonly warnings: readonly string[];
}
