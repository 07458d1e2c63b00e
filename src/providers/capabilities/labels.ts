/** `labels`: `put` accepts labels, `describe` and `list` return them. */
import type { CallOptions } from '../call.ts';

/** Labels to set; `null` removes one. */
export type LabelChanges = Readonly<Record<string, string | null>>;

export interface Labels {
  /**
   * Sets labels of an existing secret without writing a new version; other labels stay. @throws SecretsError NotFound
   */
  setLabels(name: string, labels: LabelChanges, options: CallOptions): Promise<void>;
}
