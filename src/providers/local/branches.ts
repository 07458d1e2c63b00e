/**
 * Handles key renewals on two branches. Each branch has entries that only its own keys open, and a merge keeps only one
 * manifest: a renewal takes over the other branch's keys from its manifest, so that nothing is lost.
 */
import { readFileSync } from 'node:fs';
import { SecretsError } from '../../core/errors.ts';
import { fileError, readPrivateFile } from '../../platform/files.ts';
import type { StoreFolder } from './folder.ts';
import { expandPath } from './place.ts';
import { unwrapDataKey } from './keys.ts';
import { type Keys, type Manifest, openManifest, parseManifest } from './manifest.ts';

/** The content of another branch. */
export interface Branch {
  readonly manifest: Manifest;
  readonly dataKeys: ReadonlyMap<string, Buffer>;
}

/**
 * Reads the keys in other branches' manifests, each a file that the user named.
 * @throws SecretsError Invalid for another store's manifest, Integrity, Unauthenticated
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
    // The user named it, so it may be a link or the output of `git show`.
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
  // Anyone who can write to a branch can create a manifest with their own keys, but only readers of the store know the
  // name key.
  const differs = [...dataKeys].some(([id, key]) => ours.dataKeys.get(id)?.equals(key) === false);
  if (!nameKey.equals(ours.nameKey) || differs) {
    throw new SecretsError('Integrity', `has other keys than a branch of this store: ${path}`, {
      hint: 'it was not created by anyone who can read the store',
    });
  }
  return { manifest, dataKeys };
}

/**
 * Looks for manifests that a merge has put beside the newest one. Leftovers of an interrupted renewal don't count.
 * @throws SecretsError Conflict if there are any, because their keys would be lost with them
 */
export function refuseBranches(folder: StoreFolder, { revision: newest, dataKeys }: Keys): void {
  for (const revision of folder.revisions()) {
    if (revision >= newest) return;
    const path = folder.manifestPath(revision);
    const bytes = readPrivateFile(path, 'the store', false);
    if (bytes === undefined || dataKeys.has(parseManifest(bytes, path).key.id)) continue;
    throw new SecretsError('Conflict', `another branch renewed the key, too: ${path}`, {
      hint: `add its keys: secrets stores rekey --merge ${path}`,
    });
  }
}

/** The recipients after merging both branches: an addition on one branch is kept, and a removal must not be undone. */
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
