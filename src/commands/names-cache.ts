/** Names (never values) that `list` saw, for completion: kept only where the user asked for it. */
import { join } from 'node:path';
import { makePrivateFolder, readPrivateFile, replacePrivateFile } from '../platform/files.ts';
import { type World, xdgFolder } from '../platform/world.ts';

function cachePath(world: World, store: string): string {
  return join(xdgFolder(world, 'cache'), 'names', store);
}

function enabled(world: World): boolean {
  return world.env['SECRETS_COMPLETION_CACHE'] === '1';
}

/** Keeps the names of a store. A cache that can't be written is no error. */
export function rememberNames(world: World, store: string, names: readonly string[]): void {
  if (!enabled(world)) return;
  try {
    makePrivateFolder(join(xdgFolder(world, 'cache'), 'names'));
    replacePrivateFile(
      cachePath(world, store),
      Buffer.from(names.map((name) => `${name}\n`).join('')),
      'the cache of names',
    );
  } catch {
    // Completion goes without.
  }
}

/** The names kept of a store. */
export function rememberedNames(world: World, store: string): string[] {
  if (!enabled(world)) return [];
  try {
    const text =
      readPrivateFile(cachePath(world, store), 'the cache of names', false)?.toString('utf8') ?? '';
    return text.split('\n').filter((name) => name !== '');
  } catch {
    return [];
  }
}
