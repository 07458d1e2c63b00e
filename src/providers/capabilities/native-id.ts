/** For stores without `cas`: by what two machines know the same secret. */
import type { CallOptions } from '../call.ts';

/** Names the secret. */
export interface NativeId {
  /**
   * The secret's name the same on every machine, whatever a store is called there; there or not. For stores without
   * `cas`, whose rotations take a lock elsewhere (`rotation.lock`): by it two machines mean the same secret.
   */
  nativeId(name: string, options: CallOptions): Promise<string>;
}
