/** What the verification of an audit log is told, and what it finds. */

export type ProblemKind =
  | 'changed'
  | 'removed'
  | 'inserted'
  | 'reordered'
  | 'truncated'
  | 'wrong-key'
  /** Others than the owner can read or write a file. */
  | 'exposed';

/** Where a line stands. */
export interface Position {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export interface Problem extends Partial<Position> {
  readonly kind: ProblemKind;
  /** The record it is about, as far as that is known. */
  readonly seq?: number | undefined;
  readonly message: string;
}

/** Something known from elsewhere that the log must contain: an anchor, the head file. */
export interface Known {
  readonly seq: number;
  readonly hash: string;
  /** As messages call it: `the anchor`, `the head file`. */
  readonly from: string;
}

/** Verifies a signature: the key with that id, or the one that the checkpoint carries. */
export interface Trust {
  /** Whether checkpoints by this key count. */
  accepts(keyId: string): boolean;
  /** Whether the signature over the text is by the public key (DER, base64), which must have that id. */
  verify(keyId: string, publicKey: string, text: string, signature: string): boolean;
}

export interface Summary {
  readonly records: number;
  readonly first: number | undefined;
  readonly last: number | undefined;
  readonly lastHash: string | undefined;
  readonly checkpoints: number;
  /** The last record that a good signature covers. */
  readonly signedTo: number | undefined;
  /** The keys of good checkpoints. */
  readonly keys: readonly string[];
  /** The log begins after this record, as a record of retention says. */
  readonly retainedFrom: number | undefined;
  readonly repairs: number;
  readonly problems: readonly Problem[];
  /** There were more than are listed. */
  readonly more: number;
  /** What is no problem and yet worth knowing. */
  readonly notices: readonly string[];
}
