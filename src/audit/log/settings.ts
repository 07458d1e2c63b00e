/**
 * What the `audit:` sections of the user's and the project's file come to. In every start of the program: it imports
 * no library.
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
  /** How the signing key is kept; see `AuditLogOptions`. */
  readonly key?: AuditKeyMethod | undefined;
  /** When a file is closed, in bytes, and for how long closed ones are kept; see `AuditLogOptions`. */
  readonly rotateSize?: number | undefined;
  readonly keepMs?: number | undefined;
  readonly keepFiles?: number | undefined;
  /** Where records are sent to; missing where there are none. */
  readonly sinks?: readonly Sink[] | undefined;
  /** Whether the project's file has sinks that are not used until it is trusted. */
  readonly untrustedSinks?: boolean | undefined;
}

type AuditKey = 'log' | 'path' | 'key' | 'rotate-size' | 'keep' | 'keep-files';

/** An `audit:` section as a file has it. */
export interface GivenAudit {
  readonly log?: AuditMode | undefined;
  readonly path?: string | undefined;
  readonly key?: AuditKeyMethod | undefined;
  readonly 'rotate-size'?: string | undefined;
  readonly keep?: string | undefined;
  readonly 'keep-files'?: number | undefined;
  readonly sinks?: Readonly<Record<string, GivenSink>> | undefined;
  /** What the sinks ask for. */
  readonly sinkLines: readonly TrustLine[];
  /** Lines of what it sets, by key, for what needs trust. */
  readonly lineOf: (key: AuditKey) => Pick<TrustLine, 'setting' | 'line'>;
}

/** The sections of one file that count, later ones over earlier ones. */
export interface AuditLayer {
  readonly source: 'user' | 'project';
  /** Path of the file. */
  readonly file: string;
  readonly sections: readonly (GivenAudit | undefined)[];
}

const STRICTNESS: Readonly<Record<AuditMode, number>> = { off: 0, 'best-effort': 1, required: 2 };
const DEFAULT_MODE: AuditMode = 'best-effort';

/** Until the project's file is trusted it can only make the rule stricter. */
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

/** The user's own sinks always count: a project's can stand beside them, not in their place. */
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

/** What a section says of the log's files and its key, as far as it says anything. */
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

/** A path is the user's own with `~/`, else seen from the folder of the file that it stands in. */
function located({ home }: World, file: string, path: string): string {
  return path.startsWith('~/') ? `${home}/${path.slice(2)}` : resolve(dirname(file), path);
}

/** What in a project's section needs trust: whatever records less than the user's own settings do, or elsewhere. */
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
