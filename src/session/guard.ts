/** The outermost link in the chain around a provider: decides whether this run may use the store at all. */
import type { StoreConfig } from '../config/config.ts';

/** @throws SecretsError Policy if the store's settings need trust that the user hasn't given */
export async function guard({ name, untrusted }: StoreConfig, file: string | undefined): Promise<void> {
  if (untrusted === undefined) return;
  const { notTrusted } = await import('../config/trust.ts');
  throw notTrusted(`the store ${name}`, file, untrusted);
}
