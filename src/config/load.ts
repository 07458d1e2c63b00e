/** Finds, reads and joins the configuration, and marks what needs trust that the user has not given. */
import { join, resolve } from 'node:path';
import { type AuditLayer, auditTrust, joinAudit } from '../audit/settings.ts';
import { SecretsError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { type World, xdgFolder } from '../world.ts';
import type { ReportSettings, SuppressionSettings } from './audit-report.ts';
import type { Config, EnvEntry, PolicyConfig, ProjectFile, StoreConfig, TrustLine } from './config.ts';
import { CONFIG_FILE, findUpward, readFound, type ReadFile, readNamed, readUserFile } from './find.ts';
import type { ParsedConfig, ParsedPart, ParsedPolicy } from './parse.ts';
import type { RotationBounds } from './rotation.ts';

export interface ConfigOptions {
  /** `--config FILE`. */
  readonly file?: string | undefined;
  /** `--profile NAME`. */
  readonly profile?: string | undefined;
  /** `--trust`: act on the file this once, whatever it says. */
  readonly trust?: boolean | undefined;
}

/** A file, and those of its parts that count: the file itself, then the chosen profile. */
export interface Layer {
  readonly source: 'user' | 'project';
  readonly parsed: ParsedConfig;
  readonly parts: readonly ParsedPart[];
}

/** @throws SecretsError Usage for a file that is wrong, Policy for one that may not be read */
export async function loadConfig(world: World, options: ConfigOptions): Promise<Config> {
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

  const project =
    projectFile === undefined ? undefined : await judge(world, projectFile, layers, options.trust === true);
  const stores = joinStores(world, layers, project);
  return {
    file: found.path,
    project,
    profile,
    defaultStore: joinDefault(layers, stores),
    stores,
    env: layers.length === 0 ? new Map<string, EnvEntry>() : await joinVariables(world, layers, project),
    policies: joinPolicies(layers, project),
    rotation: joinBounds(layers, project),
    audit: joinAudit(world, layers.map(auditLayer), project?.trusted === true),
    notify: joinNotify(layers, project),
    ...joinReport(layers, project),
    warnings: [...(found.warning === undefined ? [] : [found.warning]), ...otherHash(world, project)],
  };
}

async function readLayer(
  world: World,
  { bytes, path }: ReadFile,
  source: Layer['source'],
  profile: string | undefined,
): Promise<Layer> {
  const { parseConfig } = await import('./parse.ts');
  const parsed = await parseConfig(bytes, path, world);
  const chosen = profile === undefined ? undefined : parsed.profiles.get(profile);
  return { source, parsed, parts: chosen === undefined ? [parsed] : [parsed, chosen] };
}

/** The layer, with what its policies say of their stores' own rotation checked by those stores' providers. */
async function settlePolicies(world: World, layer: Layer, layers: readonly Layer[]): Promise<Layer> {
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

/** A profile that no file has is a mistake: what it should have set would silently be something else. */
function checkProfile(profile: string | undefined, layers: readonly Layer[], byFlag: boolean): void {
  if (profile === undefined || layers.some(({ parsed }) => parsed.profiles.has(profile))) return;
  // SECRETS_PROFILE may be set for good, also where there is no configuration.
  if (layers.length === 0 && !byFlag) return;
  const known = new Set(layers.flatMap(({ parsed }) => [...parsed.profiles.keys()]));
  const near = nearest(profile, known);
  throw new SecretsError('Usage', `there is no profile named ${JSON.stringify(profile.slice(0, 64))}`, {
    hint:
      near !== undefined
        ? `did you mean ${near}?`
        : known.size > 0
          ? `the profiles are ${[...known].join(', ')}`
          : 'profiles stand under `profiles:` in secrets.yaml',
  });
}

/** What in the project's file needs trust, and whether it has it. */
async function judge(
  world: World,
  { path, realPath, bytes }: ReadFile,
  layers: readonly Layer[],
  trustFlag: boolean,
): Promise<ProjectFile> {
  const lines = layers
    .filter(({ source }) => source === 'project')
    .flatMap(({ parsed }) => linesOf(parsed, layers))
    .toSorted((a, b) => a.line - b.line);
  // Few files need trust; the others need neither a hash nor the record.
  if (lines.length === 0) return { path, realPath, sha256: '', lines, trusted: true };
  const { covers, findPin, sha256 } = await import('./trust.ts');
  const hash = sha256(bytes);
  const trusted =
    trustFlag ||
    world.env['SECRETS_TRUSTED']?.trim().toLowerCase() === hash ||
    covers(findPin(world, realPath), hash, lines);
  return { path, realPath, sha256: hash, lines, trusted };
}

/** A hash of another content is most likely one that was not renewed. */
function otherHash(world: World, project: ProjectFile | undefined): readonly string[] {
  const given = world.env['SECRETS_TRUSTED'] ?? '';
  if (given === '' || project === undefined || project.trusted) return [];
  return [`SECRETS_TRUSTED is not the hash of ${project.path} as it is now`];
}

function linesOf(parsed: ParsedConfig, layers: readonly Layer[]): readonly TrustLine[] {
  const audits = layers.map(auditLayer);
  return [parsed, ...parsed.profiles.values()].flatMap(
    ({ stores, env, policies, notify, lock, boundLines, audit, reportLines }) => [
      ...auditTrust(audit, audits),
      ...reportLines,
      ...(notify?.lines ?? []),
      ...(lock === undefined ? [] : [lock]),
      ...boundLines,
      ...[...policies.values()].flatMap(({ lines }) => lines),
      ...[...stores].flatMap(([name, { lines, line }]) => [...lines, ...hiding(name, line, layers)]),
      ...[...env.values()].flatMap(({ trust }) => (trust === undefined ? [] : [trust])),
    ],
  );
}

function auditLayer({ source, parsed, parts }: Layer): AuditLayer {
  return { source, file: parsed.path, sections: parts.map(({ audit }) => audit) };
}

/** A store of the project that takes the place of the user's own: what was meant for the one goes to the other. */
function hiding(name: string, line: number, layers: readonly Layer[]): readonly TrustLine[] {
  const own = layers.some(
    ({ source, parts }) => source === 'user' && parts.some(({ stores }) => stores.has(name)),
  );
  if (!own) return [];
  return [
    {
      setting: `stores.${name}`,
      value: name,
      effect: 'this store takes the place of your own store of this name',
      line,
    },
  ];
}

function joinStores(
  world: World,
  layers: readonly Layer[],
  project: ProjectFile | undefined,
): Map<string, StoreConfig> {
  const stores = new Map<string, StoreConfig>();
  for (const { kind } of world.providers)
    stores.set(kind, { name: kind, provider: kind, settings: {}, source: 'builtin' });
  for (const { source, parts } of layers) {
    for (const [name, { provider, settings, lines, line }] of parts.flatMap((part) => [...part.stores])) {
      const asks =
        source === 'user' || project?.trusted === true ? [] : [...lines, ...hiding(name, line, layers)];
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
      // Whoever needs a lock is told why there is none.
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
        file: parsed.path,
        line,
        ...(!trusted && { untrusted: lines }),
      });
    }
  return policies;
}

/** The last one counts; an untrusted one takes nobody's place, so that it can't silence the user's own. */
function joinNotify(layers: readonly Layer[], project: ProjectFile | undefined): Config['notify'] {
  let joined: Config['notify'];
  let untrusted: readonly TrustLine[] | undefined;
  for (const { source, parsed, parts } of layers)
    for (const { notify } of parts) {
      if (notify === undefined) continue;
      if (source === 'user' || project?.trusted === true)
        joined = { setting: notify.setting, file: parsed.path };
      else untrusted = notify.lines;
    }
  if (untrusted === undefined) return joined;
  return { setting: [], file: undefined, ...joined, untrusted };
}

/** The user's own always counts: what nobody has trusted neither leaves out a finding nor moves a limit. */
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

function joinDefault(layers: readonly Layer[], stores: ReadonlyMap<string, StoreConfig>): string {
  let chosen = 'local';
  for (const { parsed, parts } of layers) {
    for (const { defaultStore } of parts) {
      if (defaultStore === undefined) continue;
      chosen = defaultStore.name;
      if (stores.has(chosen)) continue;
      const near = nearest(chosen, stores.keys());
      throw new SecretsError(
        'Usage',
        `${parsed.path}:${defaultStore.line}: the default store is not among the stores`,
        {
          hint:
            near === undefined ? `the stores are ${[...stores.keys()].join(', ')}` : `did you mean ${near}?`,
        },
      );
    }
  }
  return chosen;
}

async function joinVariables(
  world: World,
  layers: readonly Layer[],
  project: ProjectFile | undefined,
): Promise<Map<string, EnvEntry>> {
  const { settleVariable } = await import('./variables.ts');
  const names = new Set(world.providers.map(({ kind }) => kind));
  for (const { parsed } of layers)
    for (const { stores } of [parsed, ...parsed.profiles.values()])
      for (const name of stores.keys()) names.add(name);
  const env = new Map<string, EnvEntry>();
  for (const { source, parsed, parts } of layers) {
    // Every profile is checked; the chosen one counts.
    for (const part of [parsed, ...parsed.profiles.values()]) {
      for (const [name, variable] of part.env) {
        const entry = settleVariable(world, parsed.path, name, variable, names);
        if (!parts.includes(part)) continue;
        const asks = source === 'project' && project?.trusted !== true ? variable.trust : undefined;
        env.set(name, { ...entry, ...(asks !== undefined && { untrusted: asks }) });
      }
    }
  }
  return env;
}
