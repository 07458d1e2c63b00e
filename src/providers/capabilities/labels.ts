/** `labels`: `put` takes labels, `describe` and `list` give them. */
import type { CallOptions } from '../call.ts';

/** Labels to set; `null` removes one. */
export type LabelChanges = Readonly<Record<string, string | null>>;

/** Sets labels by themselves. */
export interface Labels {
  /** `labels`: sets labels of an existing secret without a new version; others stay. @throws SecretsError NotFound */
  setLabels(name: string, labels: LabelChanges, options: CallOptions): Promise<void>;
}
