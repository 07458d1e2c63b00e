/** For stores without `cas`: an identifier of a secret that is the same on every machine. */
import type { CallOptions } from '../call.ts';

export interface NativeId {
  /**
   * The secret's identifier, the same on every machine whatever the store is called there, whether or not the secret
   * exists. Rotations in stores without `cas` take a lock elsewhere (`rotation.lock`); this identifier names that lock,
   * so two machines that rotate the same secret take the same one.
   */
  nativeId(name: string, options: CallOptions): Promise<string>;
}
