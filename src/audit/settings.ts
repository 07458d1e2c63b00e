/**
 * What the `audit:` sections of the user's and the project's file come to. In every start of the program: it imports
 * no library.
 */
import { dirname, resolve } from 'node:path';
import type { TrustLine } from '../config/config.ts';
import type { AuditMode } from '../core/audit.ts';
import type { World } from '../world.ts';
import { auditLogPath } from './log.ts';

export interface AuditSettings {
  readonly log: AuditMode;
  /** Absolute path of the log. */
  readonly path: string;
}

/** An `audit:` section as a file has it. */
export interface GivenAudit {
  readonly log?: AuditMode | undefined;
  readonly path?: string | undefined;
  /** Lines of what it sets, by key, for what needs trust. */
  readonly lineOf: (key: 'log' | 'path') => Pick<TrustLine, 'setting' | 'line'>;
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
  for (const { source, file, sections } of layers) {
    for (const section of sections) {
      if (section === undefined) continue;
      const counts = source === 'user' || trusted;
      if (section.log !== undefined && (counts || STRICTNESS[section.log] > STRICTNESS[log]))
        log = section.log;
      if (section.path !== undefined && counts) path = located(world, file, section.path);
    }
  }
  return { log, path };
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
  return lines;
}
