/** Finds, reads and merges the configuration, and marks what needs trust that the user hasn't given. */
import { dirname, join, resolve } from 'node:path';
import { type AuditLayer, joinAudit } from '../audit/log/settings.ts';
import { SecretsError } from '../core/errors.ts';
import { nearest } from '../core/reference/nearest.ts';
import { xdgFolder } from '../platform/world.ts';
import { descriptorOf, type ProgramWorld } from './kinds.ts';
import type { ReportSettings, SuppressionSettings } from './audit-report.ts';
import type { Config, EnvEntry, PolicyConfig, ProjectFile, StoreConfig } from './config.ts';
import type { TrustLine } from '../core/trust.ts';
import { CONFIG_FILE, findUpward, readFound, type ReadFile, readNamed, readUserFile } from './find.ts';
import { defaultTrust, judge, otherHash, storeTrust } from './judge.ts';
import { placedSettings } from './named-files.ts';
import type { Layer } from './layer.ts';
import type { ParsedPart, ParsedPolicy } from './parse.ts';
import type { RotationBounds } from './rotation.ts';
import type { LayerVariable } from './variables.ts';

export interface ConfigOptions {
  /** `--config FILE`. */
  readonly file?: string | undefined;
  /** `--profile NAME`. */
  readonly profile?: string | undefined;
  /** `--trust`: use the file this once, whatever it contains. */
  readonly trust?: boolean | undefined;
  /** The agent reads it for a client: what this process has pinned stays. */
  readonly forAnother?: boolean | undefined;
}

/** @throws SecretsError Usage for an invalid file, Policy for one that must not be read */
export async function loadConfig(world: ProgramWorld, options: ConfigOptions): Promise<Config> {
  const named = options.file ?? (world.env['SECRETS_CONFIG'] || undefined);
  const found = named === undefined ? findUpward(world) : { path: resolve(world.cwd, named) };
  const userFile = readUserFile(world, join(xdgFolder(world, 'config'), CONFIG_FILE));
  const projectFile =
    found.path === undefined
      ? undefined
      : named === undefined
        ? readFound(world, found.path)
        : readNamed(found.path);

  const profile = options.profile ?? (world.env['SECRETS_PROFILE'] || undefined);
  const layers: Layer[] = [];
  if (userFile !== undefined) layers.push(await readLayer(world, userFile, 'user', profile));
  if (projectFile !== undefined) layers.push(await readLayer(world, projectFile, 'project', profile));
  checkProfile(profile, layers, options.profile !== undefined);
  for (const [index, layer] of layers.entries()) layers[index] = await settlePolicies(world, layer, layers);

  const variables = layers.length === 0 ? [] : (await import('./variables.ts')).allVariables(world, layers);
  const project =
    projectFile === undefined ? undefined : await judge(world, projectFile, layers, variables, options);
  const stores = joinStores(world, layers, project);
  return {
    file: found.path,
    project,
    profile,
    ...joinDefault(layers, stores, project),
    stores,
    env: joinVariables(variables, project),
    policies: joinPolicies(layers, project),
    rotation: joinBounds(layers, project),
    audit: joinAudit(world, layers.map(auditLayer), project?.trusted === true),
    notify: joinNotify(layers, project),
    ...joinReport(layers, project),
    warnings: [...(found.warning === undefined ? [] : [found.warning]), ...otherHash(world, project)],
  };
}

async function readLayer(
  world: ProgramWorld,
  { bytes, path, realPath }: ReadFile,
  source: Layer['source'],
  profile: string | undefined,
): Promise<Layer> {
  const { parseConfig } = await import('./parse.ts');
  const parsed = await parseConfig(bytes, path, world, realPath);
  const chosen = profile === undefined ? undefined : parsed.profiles.get(profile);
  return { source, parsed, parts: chosen === undefined ? [parsed] : [parsed, chosen] };
}

/** The layer after its policies' `native:` settings have been checked by the providers of their stores. */
async function settlePolicies(world: ProgramWorld, layer: Layer, layers: readonly Layer[]): Promise<Layer> {
  const all = [layer.parsed, ...layer.parsed.profiles.values()];
  const asks = ({ policies }: ParsedPart): boolean =>
    [...policies.values()].some(({ settleNative }) => settleNative !== undefined);
  if (!all.some(asks)) return layer;
  const { providerOf } = await import('./native.ts');
  const settle = async (part: ParsedPart): Promise<ParsedPart> => {
    const policies = new Map<string, ParsedPolicy>();
    for (const [reference, policy] of part.policies) {
      const { settleNative } = policy;
      const provider = settleNative && providerOf(world, reference, layers, part);
      policies.set(reference, (await settleNative?.(provider)) ?? policy);
    }
    return { ...part, policies };
  };
  const profiles = new Map<string, ParsedPart>();
  for (const [name, part] of layer.parsed.profiles) profiles.set(name, await settle(part));
  const parsed = { ...layer.parsed, ...(await settle(layer.parsed)), profiles };
  const chosen = new Map<ParsedPart, ParsedPart>([[layer.parsed, parsed]]);
  for (const [name, part] of layer.parsed.profiles) chosen.set(part, profiles.get(name) ?? part);
  return { ...layer, parsed, parts: layer.parts.map((part) => chosen.get(part) ?? part) };
}

/** A profile that no file defines is a mistake: the settings that it should have made would silently be missing. */
function checkProfile(profile: string | undefined, layers: readonly Layer[], byFlag: boolean): void {
  if (profile === undefined || layers.some(({ parsed }) => parsed.profiles.has(profile))) return;
  // SECRETS_PROFILE may be set permanently, even where there is no configuration.
  if (layers.length === 0 && !byFlag) return;
  const known = new Set(layers.flatMap(({ parsed }) => [...parsed.profiles.keys()]));
  const near = nearest(profile, known);
  throw new SecretsError('Usage', `no profile named ${JSON.stringify(profile.slice(0, 64))}`, {
    hint:
      near !== undefined
        ? `did you mean ${near}?`
        : known.size > 0
          ? `the profiles are ${[...known].join(', ')}`
          : 'profiles stand under `profiles:` in secrets.yaml',
  });
}

function auditLayer({ source, parsed, parts }: Layer): AuditLayer {
  return { source, file: parsed.realPath, sections: parts.map(({ audit }) => audit) };
}

function joinStores(
  world: ProgramWorld,
  layers: readonly Layer[],
  project: ProjectFile | undefined,
): Map<string, StoreConfig> {
  const stores = new Map<string, StoreConfig>();
  for (const { kind } of world.providers)
    stores.set(kind, { name: kind, provider: kind, settings: {}, source: 'builtin' });
  for (const { source, parsed, parts } of layers) {
    for (const [name, store] of parts.flatMap((part) => [...part.stores])) {
      const { provider } = store;
      const asks =
        source === 'user' || project?.trusted === true ? [] : storeTrust(world, name, store, layers);
      const descriptor = descriptorOf(world, provider);
      const folder = dirname(parsed.realPath);
      const settings = placedSettings(store.settings, descriptor ?? {}, folder, world.home);
      stores.set(name, { name, provider, settings, source, ...(asks.length > 0 && { untrusted: asks }) });
    }
  }
  return stores;
}

function joinBounds(
  layers: readonly Layer[],
  project: ProjectFile | undefined,
): RotationBounds & { readonly untrustedLock?: readonly TrustLine[] } {
  let bounds: RotationBounds & { readonly untrustedLock?: readonly TrustLine[] } = {};
  for (const { source, parts } of layers)
    for (const { bounds: own, lock } of parts) {
      if (source === 'user' || project?.trusted === true) bounds = { ...bounds, ...own };
      // A command that needs the lock reports why it isn't used.
      else if (lock !== undefined) bounds = { ...bounds, lock: own.lock, untrustedLock: [lock] };
    }
  return bounds;
}

function joinPolicies(layers: readonly Layer[], project: ProjectFile | undefined): Map<string, PolicyConfig> {
  const policies = new Map<string, PolicyConfig>();
  for (const { source, parsed, parts } of layers)
    for (const [reference, { settings, lines, line, nativeKind }] of parts.flatMap((part) => [
      ...part.policies,
    ])) {
      const trusted = source === 'user' || project?.trusted === true;
      policies.set(reference, {
        reference,
        settings,
        ...(nativeKind !== undefined && { nativeKind }),
        file: parsed.realPath,
        line,
        ...(!trusted && { untrusted: lines }),
      });
    }
  return policies;
}

/** The last one applies. An untrusted one doesn't replace others, so that it can't silence the user's own. */
function joinNotify(layers: readonly Layer[], project: ProjectFile | undefined): Config['notify'] {
  let joined: Config['notify'];
  let untrusted: readonly TrustLine[] | undefined;
  for (const { source, parsed, parts } of layers)
    for (const { notify } of parts) {
      if (notify === undefined) continue;
      if (source === 'user' || project?.trusted === true)
        joined = { setting: notify.setting, file: parsed.realPath };
      else untrusted = notify.lines;
    }
  if (untrusted === undefined) return joined;
  return { setting: [], file: undefined, ...joined, untrusted };
}

/** The user's own settings always apply: an untrusted file can neither suppress a finding nor change a threshold. */
function joinReport(
  layers: readonly Layer[],
  project: ProjectFile | undefined,
): Pick<Config, 'report' | 'suppress' | 'untrustedReport'> {
  let report: ReportSettings = {};
  const suppress: SuppressionSettings[] = [];
  const untrusted: TrustLine[] = [];
  for (const { source, parts } of layers)
    for (const part of parts) {
      if (source === 'user' || project?.trusted === true) {
        report = { ...report, ...part.report };
        suppress.push(...part.suppress);
      } else untrusted.push(...part.reportLines);
    }
  return { report, suppress, ...(untrusted.length > 0 && { untrustedReport: untrusted }) };
}

/** Until the project's file is trusted, nothing is looked up in its default store. */
function joinDefault(
  layers: readonly Layer[],
  stores: ReadonlyMap<string, StoreConfig>,
  project: ProjectFile | undefined,
): Pick<Config, 'defaultStore' | 'untrustedDefault'> {
  let joined: Pick<Config, 'defaultStore' | 'untrustedDefault'> = { defaultStore: 'local' };
  for (const { source, parsed, parts } of layers) {
    for (const { defaultStore } of parts) {
      if (defaultStore === undefined) continue;
      const { name, line } = defaultStore;
      const asks =
        source === 'user' || project?.trusted === true ? undefined : defaultTrust(defaultStore, layers);
      joined = { defaultStore: name, ...(asks !== undefined && { untrustedDefault: asks }) };
      if (stores.has(name)) continue;
      const near = nearest(name, stores.keys());
      throw new SecretsError('Usage', `${parsed.path}:${line}: the default store is not among the stores`, {
        hint:
          near === undefined ? `the stores are ${[...stores.keys()].join(', ')}` : `did you mean ${near}?`,
      });
    }
  }
  return joined;
}

/** Every profile's variables are checked, but only the chosen profile's apply. */
function joinVariables(
  variables: readonly LayerVariable[],
  project: ProjectFile | undefined,
): Map<string, EnvEntry> {
  const env = new Map<string, EnvEntry>();
  for (const { name, entry, counts, trust } of variables) {
    if (!counts) continue;
    const asks = project?.trusted === true ? undefined : trust.here;
    const unlessSame = asks !== undefined && trust.unlessSame === true;
    env.set(name, {
      ...entry,
      ...(asks !== undefined && { untrusted: asks }),
      ...(unlessSame && { unlessSame }),
    });
  }
  return env;
}
