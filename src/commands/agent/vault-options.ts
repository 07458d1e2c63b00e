/** The options of Vault's protocol, which `agent start` and `agent run` share. */
import type { Part } from '../../agent/vault/scope.ts';
import { SecretsError } from '../../core/errors.ts';
import { isStoreName, withoutStar } from '../../core/reference/reference.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';

export interface VaultOptions extends CommonOptions {
  readonly read?: readonly string[];
  readonly write?: readonly string[];
}

export interface VaultScope {
  /** Missing: everything. */
  readonly read: readonly Part[] | undefined;
  readonly write: readonly (Part & { readonly store: string })[];
}

/** @throws SecretsError Usage for anything but references and prefixes of stores that there are */
export async function scopeOf(session: Session, { read, write = [] }: VaultOptions): Promise<VaultScope> {
  const parts = (texts: readonly string[]): Promise<VaultScope['write']> =>
    Promise.all(texts.map((text) => partOf(session, text)));
  return { read: read === undefined ? undefined : await parts(read), write: await parts(write) };
}

async function partOf(session: Session, text: string): Promise<Part & { readonly store: string }> {
  const [, store = '', prefix = ''] = /^([^:/]+):\/\/(.*)$/s.exec(text) ?? [];
  if (!isStoreName(store))
    throw new SecretsError('Usage', `${JSON.stringify(text.slice(0, 200))} is not a reference of a store`, {
      hint: 'use STORE://NAME, STORE://PREFIX/ or STORE://',
    });
  await session.storeConfig(store);
  return { store, prefix: withoutStar(prefix) };
}
