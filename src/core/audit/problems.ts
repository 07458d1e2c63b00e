/** Inputs and results of verifying an audit log. */

export type ProblemKind =
  | 'changed'
  | 'removed'
  | 'inserted'
  | 'reordered'
  | 'truncated'
  | 'wrong-key'
  /** Users other than the owner can read or write a file. */
  | 'exposed';

export interface Position {
  readonly file: string;
  /** Starts at 1. */
  readonly line: number;
}

export interface Problem extends Partial<Position> {
  readonly kind: ProblemKind;
  /** The record, if known. */
  readonly seq?: number | undefined;
  readonly message: string;
  /** Something is missing, and the holder of the key may accept that by signing: `audit anchor --accept`. */
  readonly acceptable?: boolean | undefined;
}

/** A record that the log must contain, known from elsewhere: an anchor or the head file. */
export interface Known {
  readonly seq: number;
  readonly hash: string;
  /** What messages call it: `the anchor`, `the head file`. */
  readonly from: string;
  /**
   * Set for our own heads. An anchor belongs to somebody else, so nobody here may accept that the log doesn't match
   * it.
   */
  readonly own?: boolean | undefined;
}

/** Verifies signatures: by the key with that id, or the one in the checkpoint. */
export interface Trust {
  /** Whether checkpoints by this key are accepted. */
  accepts(keyId: string): boolean;
  /** Whether the public key (DER, base64), which must have that id, signed the text. */
  verify(keyId: string, publicKey: string, text: string, signature: string): boolean;
}

export interface Summary {
  readonly records: number;
  readonly first: number | undefined;
  /** `prev` of the first record. */
  readonly firstPrev: string | undefined;
  readonly last: number | undefined;
  readonly lastHash: string | undefined;
  readonly checkpoints: number;
  /** The last record covered by a valid signature. */
  readonly signedTo: number | undefined;
  /** The keys of valid checkpoints. */
  readonly keys: readonly string[];
  /** The log starts at this record, as a retention record says. */
  readonly retainedFrom: number | undefined;
  /** The second head that the last valid checkpoint names. */
  readonly secondHead: string | undefined;
  readonly repairs: number;
  readonly problems: readonly Problem[];
  /** How many more problems there were. */
  readonly more: number;
  /** Not problems, but worth knowing. */
  readonly notices: readonly string[];
}
