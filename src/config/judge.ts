/**
 * Determines what needs trust in the project's file, and whether it is trusted. Loaded on every start, so it imports
 * no library.
 */
import { dirname } from 'node:path';
import { type AuditLayer, auditTrust } from '../audit/log/settings.ts';
import { isUrlScheme } from '../core/reference/reference.ts';
import { expectContents } from '../platform/pinned.ts';
import type { ProgramWorld } from './kinds.ts';
import type { PinnedFile, ProjectFile } from './config.ts';
import type { TrustLine } from '../core/trust.ts';
import { type ReadFile, repositoryRoot } from './find.ts';
import type { Layer } from './layer.ts';
import type { ParsedConfig, ParsedPart, ParsedStore } from './parse.ts';
import { namedFiles } from './named-files.ts';
import type { LayerVariable } from './variables.ts';

export async function judge(
  world: ProgramWorld,
  { path, realPath, bytes }: ReadFile,
  layers: readonly Layer[],
  variables: readonly LayerVariable[],
  {
    trust = false,
    forAnother = false,
  }: { readonly trust?: boolean | undefined; readonly forAnother?: boolean | undefined },
): Promise<ProjectFile> {
  const project = layers.filter(({ source }) => source === 'project');
  const ofVariables = variables.filter(({ source }) => source === 'project').map(({ trust }) => trust);
  const byLine = (a: TrustLine, b: TrustLine): number => a.line - b.line;
  const lines = [
    ...project.flatMap(({ parsed }) => linesOf(world, parsed, layers)),
    ...ofVariables.flatMap(({ here }) => (here === undefined ? [] : [here])),
  ].toSorted(byLine);
  // Few files need trust; the others need neither a hash nor the trust record.
  if (lines.length === 0)
    return { path, realPath, sha256: '', lines, shown: lines, files: [], trusted: true };
  const elsewhere = ofVariables.flatMap((one) => (one.elsewhere === undefined ? [] : [one.elsewhere]));
  // A variable that has since been set doesn't turn the trusted file into a different one.
  const byEnv = new Set(ofVariables.flatMap(({ here, unlessSame }) => (unlessSame === true ? [here] : [])));
  const ofFile = lines.filter((line) => !byEnv.has(line));
  const shown = [...lines, ...elsewhere].toSorted(byLine);
  const { covers, findPin, hashOfSet, sha256 } = await import('./trust.ts');
  const files = filesOf(world, realPath, project);
  const hash = hashOfSet({ path: realPath, sha256: sha256(bytes) }, files);
  const trusted =
    trust ||
    world.env['SECRETS_TRUSTED']?.trim().toLowerCase() === hash ||
    covers(findPin(world, realPath), hash, ofFile);
  if (trusted && !forAnother) expectContents(files, sha256);
  return { path, realPath, sha256: hash, lines, shown, files, trusted };
}

function filesOf(world: ProgramWorld, realPath: string, layers: readonly Layer[]): readonly PinnedFile[] {
  const { providers, home, env } = world;
  const folder = dirname(realPath);
  const environment = {
    providers,
    home,
    searchPath: env['PATH'],
    folder,
    root: repositoryRoot(folder, home),
  };
  return layers.flatMap(({ parsed }) => namedFiles(parsed, environment));
}

/** A hash of different content has most likely not been updated. */
export function otherHash(world: ProgramWorld, project: ProjectFile | undefined): readonly string[] {
  const given = world.env['SECRETS_TRUSTED'] ?? '';
  if (given === '' || project === undefined || project.trusted) return [];
  const files = project.files.length === 0 ? '' : ' and the files it names';
  return [`SECRETS_TRUSTED is not the hash of ${project.path}${files} as it is now`];
}

function linesOf(world: ProgramWorld, parsed: ParsedConfig, layers: readonly Layer[]): readonly TrustLine[] {
  const audits = layers.map(({ source, parsed: { realPath }, parts }): AuditLayer => ({
    source,
    file: realPath,
    sections: parts.map(({ audit }) => audit),
  }));
  return [parsed, ...parsed.profiles.values()].flatMap(
    ({ defaultStore, stores, policies, notify, lock, boundLines, audit, reportLines }) => [
      ...auditTrust(audit, audits),
      ...reportLines,
      ...(notify?.lines ?? []),
      ...(lock === undefined ? [] : [lock]),
      ...boundLines,
      ...[...policies.values()].flatMap(({ lines }) => lines),
      ...[...stores].flatMap(([name, store]) => storeTrust(world, name, store, layers)),
      ...listOf(defaultStore === undefined ? undefined : defaultTrust(defaultStore, layers)),
    ],
  );
}

function listOf<T>(one: T | undefined): readonly T[] {
  return one === undefined ? [] : [one];
}

/**
 * The trust that a project's store needs: for its settings, and for a name that changes the meaning of something
 * else.
 */
export function storeTrust(
  world: ProgramWorld,
  name: string,
  { lines, line, setting }: ParsedStore,
  layers: readonly Layer[],
): readonly TrustLine[] {
  const own = layers.some(
    ({ source, parts }) => source === 'user' && parts.some(({ stores }) => stores.has(name)),
  );
  const effects = [
    ...(own ? ['this store takes the place of your own store of this name'] : []),
    ...(world.providers.some(({ kind }) => kind === name)
      ? ['this store takes the place of the built-in one of this name']
      : []),
    ...(isUrlScheme(name)
      ? [`addresses that begin with ${name}:// are taken for secrets of this store`]
      : []),
  ];
  return [...lines, ...effects.map((effect) => ({ setting, value: name, effect, line }))];
}

/**
 * The trust that a default needs if it differs from the user's own, because names without a store then refer to a
 * different store.
 */
export function defaultTrust(
  { name, setting, line }: NonNullable<ParsedPart['defaultStore']>,
  layers: readonly Layer[],
): TrustLine | undefined {
  const own = layers
    .filter(({ source }) => source === 'user')
    .flatMap(({ parts }) => parts)
    .findLast(({ defaultStore }) => defaultStore !== undefined)?.defaultStore?.name;
  if (name === (own ?? 'local')) return undefined;
  return {
    setting,
    value: name,
    effect: 'what is named without a store is looked up, and written, in this one',
    line,
  };
}
