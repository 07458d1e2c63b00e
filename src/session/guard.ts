/** The outermost link of the chain around a provider: whether the user lets this run use the store at all. */
import type { StoreConfig } from '../config/config.ts';

/** @throws SecretsError Policy for a store whose settings need trust that the user has not given */
export async function guard({ name, untrusted }: StoreConfig, file: string | undefined): Promise<void> {
  if (untrusted === undefined) return;
  const { notTrusted } = await import('../config/trust.ts');
  throw notTrusted(`the store ${name}`, file, untrusted);
}
