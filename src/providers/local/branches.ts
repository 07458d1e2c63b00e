/**
 * Renewals of a store's key on two branches. Each has entries that only its own keys open, and a merge keeps one
 * manifest: a renewal takes the keys of the other over from its manifest, so that nothing is lost.
 */
import { readFileSync } from 'node:fs';
import { SecretsError } from '../../core/errors.ts';
import { fileError, readPrivateFile } from '../../platform/files.ts';
import type { StoreFolder } from './folder.ts';
import { expandPath } from './place.ts';
import { unwrapDataKey } from './keys.ts';
import { type Keys, type Manifest, openManifest, parseManifest } from './manifest.ts';

/** What another branch has. */
export interface Branch {
  readonly manifest: Manifest;
  readonly dataKeys: ReadonlyMap<string, Buffer>;
}

/**
 * The keys in manifests of other branches, each a file that the user named.
 * @throws SecretsError Invalid for another store's, Integrity, Unauthenticated
 */
export async function readBranches(
  folder: StoreFolder,
  ours: Keys,
  files: readonly string[],
): Promise<readonly Branch[]> {
  const branches: Branch[] = [];
  for (const file of files) branches.push(await readBranch(folder, ours, expandPath(folder.context, file)));
  return branches;
}

async function readBranch(folder: StoreFolder, ours: Keys, path: string): Promise<Branch> {
  let bytes: Buffer;
  try {
    // The user named it: it may be a link, or what `git show` writes.
    bytes = readFileSync(path);
  } catch (thrown) {
    throw fileError(thrown, 'cannot read the other manifest', path);
  }
  const manifest = parseManifest(bytes, path, 'any');
  if (manifest.store !== ours.store || manifest.names !== ours.names)
    throw new SecretsError('Invalid', `is the manifest of another store: ${path}`);
  const { env, askHidden } = folder.context;
  const passphrase = env['SECRETS_MERGE_PASSPHRASE'];
  const given = passphrase === undefined || passphrase === '' ? {} : { SECRETS_PASSPHRASE: passphrase };
  const dataKey = await unwrapDataKey(manifest, folder.settings, {
    ...folder.context,
    env: { ...env, ...given },
    askHidden: askHidden && ((question) => askHidden(`${question}, as the other branch has it`)),
  });
  const { nameKey, dataKeys } = openManifest(manifest, dataKey, path);
  // Whoever can write to a branch can make a manifest with keys of their own. The name key only readers know.
  const differs = [...dataKeys].some(([id, key]) => ours.dataKeys.get(id)?.equals(key) === false);
  if (!nameKey.equals(ours.nameKey) || differs) {
    throw new SecretsError('Integrity', `has other keys than a branch of this store: ${path}`, {
      hint: 'nobody who could read the store has made it',
    });
  }
  return { manifest, dataKeys };
}

/**
 * Looks for manifests that a merge has put beside the newest one. What a renewal that was cut off left is none.
 * @throws SecretsError Conflict when there are some: their keys would be lost with them
 */
export function refuseBranches(folder: StoreFolder, { revision: newest, dataKeys }: Keys): void {
  for (const revision of folder.revisions()) {
    if (revision >= newest) return;
    const path = folder.manifestPath(revision);
    const bytes = readPrivateFile(path, 'the store', false);
    if (bytes === undefined || dataKeys.has(parseManifest(bytes, path).key.id)) continue;
    throw new SecretsError('Conflict', `another branch renewed the key, too: ${path}`, {
      hint: `take its keys over: secrets stores rekey --merge ${path}`,
    });
  }
}

/** Who can read what both branches have: an addition on one of them is repeated, a removal must not be undone. */
export function recipientsOfAll(
  ours: readonly string[],
  branches: readonly Branch[],
): { readonly kept: readonly string[]; readonly left: readonly string[] } {
  const lists = [
    ours,
    ...branches.flatMap(({ manifest: { key } }) => (key.recipients ? [key.recipients] : [])),
  ];
  const all = [...new Set(lists.flat())];
  const kept = all.filter((recipient) => lists.every((list) => list.includes(recipient)));
  return { kept, left: all.filter((recipient) => !kept.includes(recipient)) };
}
