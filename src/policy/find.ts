/**
 * Looks for policy files: the machine's, the user's, and the one beside the project's secrets.yaml. Most runs find none,
 * and pay one system call for each place, so this file is part of every start and imports nothing else of its room.
 */
import { lstatSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { fileError, isMissing } from '../platform/files.ts';
import { type World, xdgFolder } from '../platform/world.ts';

export const POLICY_FILE = 'secrets.policy.cedar';

export type LayerName = 'machine' | 'user' | 'project';

export interface PolicyPlace {
  readonly layer: LayerName;
  readonly path: string;
}

/** Where policy files are looked for, in the order in which they decide. */
export function policyPlaces(world: World, config: Pick<Config, 'file'>): readonly PolicyPlace[] {
  return [
    { layer: 'machine', path: join(world.machineFolder, POLICY_FILE) },
    { layer: 'user', path: join(xdgFolder(world, 'config'), POLICY_FILE) },
    ...(config.file === undefined
      ? []
      : [{ layer: 'project' as const, path: join(dirname(config.file), POLICY_FILE) }]),
  ];
}

/**
 * The policy files that there are.
 * @throws SecretsError Denied if that can't be told: a file that can't be seen must not be a file that isn't there
 */
export function findPolicies(world: World, config: Pick<Config, 'file'>): readonly PolicyPlace[] {
  return policyPlaces(world, config).filter((place) => lookAt(place) !== undefined);
}

/**
 * A policy file as it is; undefined if there is none.
 * @throws SecretsError Denied if that can't be told
 */
export function lookAt({ path }: PolicyPlace): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw fileError(thrown, 'cannot look for a policy', path);
  }
}
