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
  /** Something is missing, and who has the key may sign that it is known: `audit anchor --accept`. */
  readonly acceptable?: boolean | undefined;
}

/** Something known from elsewhere that the log must contain: an anchor, the head file. */
export interface Known {
  readonly seq: number;
  readonly hash: string;
  /** As messages call it: `the anchor`, `the head file`. */
  readonly from: string;
  /** A head of our own; an anchor is somebody else's, and nobody here may accept that it is not met. */
  readonly own?: boolean | undefined;
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
  /** `prev` of the first record. */
  readonly firstPrev: string | undefined;
  readonly last: number | undefined;
  readonly lastHash: string | undefined;
  readonly checkpoints: number;
  /** The last record that a good signature covers. */
  readonly signedTo: number | undefined;
  /** The keys of good checkpoints. */
  readonly keys: readonly string[];
  /** The log begins after this record, as a record of retention says. */
  readonly retainedFrom: number | undefined;
  /** The second head that the last good checkpoint names. */
  readonly secondHead: string | undefined;
  readonly repairs: number;
  readonly problems: readonly Problem[];
  /** There were more than are listed. */
  readonly more: number;
  /** What is no problem and yet worth knowing. */
  readonly notices: readonly string[];
}
