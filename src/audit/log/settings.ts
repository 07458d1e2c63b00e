/**
 * Merges the `audit:` sections of the user's and the project's files. Loaded on every start, so it imports no
 * library.
 */
import { dirname, resolve } from 'node:path';
import type { TrustLine } from '../../core/trust.ts';
import type { AuditMode } from '../../core/audit/record.ts';
import { parsePeriod } from '../../core/duration.ts';
import type { World } from '../../platform/world.ts';
import type { AuditKeyMethod } from './log-settings.ts';
import { auditLogPath } from './log.ts';
import type { GivenSink, Sink } from '../sinks/settings.ts';

export interface AuditSettings {
  readonly log: AuditMode;
  /** Absolute path of the log. */
  readonly path: string;
  /** How the signing key is stored; see `AuditLogOptions`. */
  readonly key?: AuditKeyMethod | undefined;
  /** The size, in bytes, at which a file is closed, and how long closed files are kept; see `AuditLogOptions`. */
  readonly rotateSize?: number | undefined;
  readonly keepMs?: number | undefined;
  readonly keepFiles?: number | undefined;
  /** Where records are sent; missing if nowhere. */
  readonly sinks?: readonly Sink[] | undefined;
  /** Whether the project's file has sinks that aren't used until it is trusted. */
  readonly untrustedSinks?: boolean | undefined;
}

type AuditKey = 'log' | 'path' | 'key' | 'rotate-size' | 'keep' | 'keep-files';

/** An `audit:` section as written in a file. */
export interface GivenAudit {
  readonly log?: AuditMode | undefined;
  readonly path?: string | undefined;
  readonly key?: AuditKeyMethod | undefined;
  readonly 'rotate-size'?: string | undefined;
  readonly keep?: string | undefined;
  readonly 'keep-files'?: number | undefined;
  readonly sinks?: Readonly<Record<string, GivenSink>> | undefined;
  /** The trust that the sinks need. */
  readonly sinkLines: readonly TrustLine[];
  /** The line of a setting in the file, for settings that need trust. */
  readonly lineOf: (key: AuditKey) => Pick<TrustLine, 'setting' | 'line'>;
}

/** The sections of one file that apply; later ones override earlier ones. */
export interface AuditLayer {
  readonly source: 'user' | 'project';
  /** Path of the file. */
  readonly file: string;
  readonly sections: readonly (GivenAudit | undefined)[];
}

const STRICTNESS: Readonly<Record<AuditMode, number>> = { off: 0, 'best-effort': 1, required: 2 };
const DEFAULT_MODE: AuditMode = 'best-effort';

/** Until the project's file is trusted, it can only make the mode stricter. */
export function joinAudit(world: World, layers: readonly AuditLayer[], trusted: boolean): AuditSettings {
  let log = DEFAULT_MODE;
  let path = auditLogPath(world);
  let files: Partial<AuditSettings> = {};
  for (const { source, file, sections } of layers) {
    for (const section of sections) {
      if (section === undefined) continue;
      const counts = source === 'user' || trusted;
      if (section.log !== undefined && (counts || STRICTNESS[section.log] > STRICTNESS[log]))
        log = section.log;
      if (section.path !== undefined && counts) path = located(world, file, section.path);
      if (counts) files = { ...files, ...filesOf(section) };
    }
  }
  return { log, path, ...files, ...joinSinks(layers, trusted) };
}

/** The user's own sinks always count: a project can add sinks but not replace them. */
function joinSinks(
  layers: readonly AuditLayer[],
  trusted: boolean,
): Pick<AuditSettings, 'sinks' | 'untrustedSinks'> {
  let sinks: Map<string, Sink> | undefined;
  let untrustedSinks = false;
  for (const { source, file, sections } of layers) {
    for (const section of sections) {
      for (const [name, given] of Object.entries(section?.sinks ?? {})) {
        if (source === 'project' && !trusted) untrustedSinks = true;
        else {
          sinks ??= new Map();
          if (source === 'user' || sinks.get(name)?.source !== 'user')
            sinks.set(name, { name, given, file, source });
        }
      }
    }
  }
  return {
    ...(sinks !== undefined && { sinks: [...sinks.values()] }),
    ...(untrustedSinks && { untrustedSinks }),
  };
}

const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** The settings of a section that concern the log's files and its key. */
function filesOf(section: GivenAudit): Partial<AuditSettings> {
  const { key, 'rotate-size': size, keep, 'keep-files': keepFiles } = section;
  const bytes = size === undefined ? undefined : Number.parseInt(size, 10) * (UNITS[size.slice(-3, -2)] ?? 1);
  return {
    ...(key !== undefined && { key }),
    ...(bytes !== undefined && { rotateSize: bytes }),
    ...(keep !== undefined && { keepMs: parsePeriod(keep) }),
    ...(keepFiles !== undefined && { keepFiles }),
  };
}

/** `~/` is the user's home; any other relative path starts at the folder of the file that contains it. */
function located({ home }: World, file: string, path: string): string {
  return path.startsWith('~/') ? `${home}/${path.slice(2)}` : resolve(dirname(file), path);
}

/**
 * The settings in a project's section that need trust: those that record less than the user's own settings, or
 * elsewhere.
 */
export function auditTrust(
  section: GivenAudit | undefined,
  layers: readonly AuditLayer[],
): readonly TrustLine[] {
  if (section === undefined) return [];
  const lines: TrustLine[] = [];
  const own =
    layers
      .filter(({ source }) => source === 'user')
      .flatMap(({ sections }) => sections)
      .findLast((given) => given?.log !== undefined)?.log ?? DEFAULT_MODE;
  const { log, path, lineOf } = section;
  if (log !== undefined && STRICTNESS[log] < STRICTNESS[own]) {
    const effect =
      log === 'off'
        ? 'your accesses are not recorded'
        : 'your accesses go on where they can’t be recorded, against your own settings';
    lines.push({ ...lineOf('log'), value: log, effect });
  }
  if (path !== undefined)
    lines.push({ ...lineOf('path'), value: path, effect: 'the log of your accesses is written there' });
  const removal = 'records of your accesses are removed then';
  for (const [key, effect] of [
    ['key', 'the key that signs your log is kept there from then on'],
    ['keep', removal],
    ['keep-files', removal],
    ['rotate-size', 'files of your log are closed at this size'],
  ] as const) {
    const value = section[key];
    if (value !== undefined) lines.push({ ...lineOf(key), value: String(value), effect });
  }
  lines.push(...section.sinkLines);
  return lines;
}
