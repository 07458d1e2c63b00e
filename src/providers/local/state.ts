/** Computes a secret's state from its events. Pure. */
import { SecretsError } from '../../core/errors.ts';
import type { VersionInfo } from '../../core/secret.ts';
import { fileName, lastPlaceOf } from './entry-file.ts';

interface Common {
  /** The secret's name; sealed with the rest. */
  readonly name: string;
  /** Id of the newest event at the time of writing. */
  readonly parent?: string;
  /** The writer: the user's name on that machine. */
  readonly by?: string;
}

/** The content of one event. */
export type EventBody = Common &
  (
    | {
        readonly type: 'value';
        /** 1, 2, 3 …: one more than the highest before. Two branches of a repository may use the same number. */
        readonly version: number;
        readonly stage: 'current' | 'pending';
        /** base64 */
        readonly value: string;
        readonly labels?: Readonly<Record<string, string | null>>;
        readonly description?: string;
        /** Milliseconds since 1970. */
        readonly expires?: number;
      }
    /** The version written by event `target` becomes current. */
    | {
        readonly type: 'current';
        readonly target: string;
        readonly labels?: Readonly<Record<string, string | null>>;
      }
    | { readonly type: 'delete' }
    | { readonly type: 'restore' }
    /** The version written by event `target` is permanently removed: its value, but not the event's other fields. */
    | { readonly type: 'destroy'; readonly target: string; readonly removed: RemovedVersion }
  );

/** A version's event without the name, the value and its expiry. It permanently takes that event's place. */
export interface RemovedVersion {
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly version: number;
  readonly stage: 'current' | 'pending';
  readonly parent?: string;
  readonly by?: string;
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly description?: string;
}

/** An event with its place in the order. */
export type StoredEvent = EventBody & {
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** 32 hex digits. */
  readonly id: string;
};

export type ValueEvent = Extract<StoredEvent, { type: 'value' }>;

/** The rest of a destroyed version's event. */
type GoneEvent = Omit<RemovedVersion, 'time'> & {
  readonly type: 'gone';
  readonly name: string;
  readonly at: number;
  readonly id: string;
};

/** A version and its fate. */
export interface FoldedVersion {
  /** The id that users see: `3`, or `3.1f2e3d4c` if two versions have the number 3. */
  readonly id: string;
  readonly eventId: string;
  readonly at: number;
  readonly by: string | undefined;
  readonly forked: boolean;
  /** Missing if the version is destroyed. */
  readonly event: ValueEvent | undefined;
}

export interface SecretState {
  readonly name: string;
  /** Sorted by number, then time, then id. */
  readonly versions: readonly FoldedVersion[];
  readonly current: FoldedVersion | undefined;
  readonly previous: FoldedVersion | undefined;
  readonly pending: FoldedVersion | undefined;
  readonly deletedAt: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly highestVersion: number;
  /** File name of the last event that made a version current, which is its place in the order; '' if there is none. */
  readonly currentBy: string;
  /**
   * An event made a version current that is damaged or missing: it is known which value is current, but the value is
   * lost.
   */
  readonly currentIsLost: boolean;
}

/** The fields of a version that its `destroy` event keeps. */
export function removedOf(gone: ValueEvent): RemovedVersion {
  const { number, at: time, version, stage, parent, by, labels, description } = gone;
  return {
    number,
    time,
    version,
    stage,
    ...(parent !== undefined && { parent }),
    ...(by !== undefined && { by }),
    ...(labels !== undefined && { labels }),
    ...(description !== undefined && { description }),
  };
}

/** Ids of the destroyed versions' entries. */
export function destroyedBy(events: readonly StoredEvent[]): ReadonlySet<string> {
  return new Set(events.flatMap((event) => (event.type === 'destroy' ? [event.target] : [])));
}

/**
 * All events in order, with the rest of each destroyed event in its place, whether or not its file is already removed:
 * only the value disappears, on whichever branch it is destroyed.
 */
function withGone(events: readonly StoredEvent[]): readonly (StoredEvent | GoneEvent)[] {
  const gone = new Map<string, GoneEvent>();
  for (const event of events) {
    if (event.type !== 'destroy') continue;
    const { time, ...removed } = event.removed;
    gone.set(event.target, { type: 'gone', name: event.name, id: event.target, at: time, ...removed });
  }
  if (gone.size === 0) return events;
  return [...events.filter(({ id }) => !gone.has(id)), ...gone.values()].sort(
    (one, other) => one.number - other.number || one.at - other.at || (one.id < other.id ? -1 : 1),
  );
}

/**
 * Whether two branches have written, so that two entries have the same number.
 * @param damaged numbers of existing files that can't be read
 */
export function isForked(events: readonly StoredEvent[], damaged: readonly number[]): boolean {
  const numbers = [...withGone(events).map(({ number }) => number), ...damaged];
  return new Set(numbers).size < numbers.length;
}

/** The place of the current version: that of the event that wrote it. */
export function currentPlace({ current }: SecretState): string {
  return current?.event === undefined ? '' : placeOf(current.event);
}

/** An event that must have existed and is missing. */
export interface MissingEvent {
  readonly id: string;
  /** Its latest possible place; comparable with file names. */
  readonly place: string;
}

function placeOf({ number, at, id }: Pick<StoredEvent, 'number' | 'at' | 'id'>): string {
  return fileName(number, at, id);
}

/**
 * Events that other events refer to and that are missing: each event's predecessor, and versions made current.
 * @param damaged ids of existing files that can't be read
 */
export function missingOf(
  events: readonly StoredEvent[],
  damaged: readonly (string | undefined)[],
): readonly MissingEvent[] {
  const all = withGone(events);
  const known = new Set<string | undefined>([...all.map(({ id }) => id), ...damaged]);
  const versions = new Set<string | undefined>(damaged);
  for (const { id, type } of all) if (type === 'value' || type === 'gone') versions.add(id);
  return all.flatMap((event) => [
    ...(event.parent !== undefined && !known.has(event.parent)
      ? [{ id: event.parent, place: lastPlaceOf(event.number - 1) }]
      : []),
    // It came before the event that made it current.
    ...(event.type === 'current' && !versions.has(event.target)
      ? [{ id: event.target, place: placeOf(event) }]
      : []),
  ]);
}

/**
 * The state after all events, which have to be in order; `undefined` if there are none. It doesn't depend on whether a
 * destroyed version's file still exists.
 */
export function fold(events: readonly StoredEvent[]): SecretState | undefined {
  const [first] = events;
  const last = events.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const { raw, labels, description, current, previous, pending, deletedAt, currentBy } = applied(events);
  const versions = inOrder(raw);
  const find = (id: string | undefined): FoldedVersion | undefined =>
    versions.find(({ eventId }) => eventId === id);
  return {
    name: first.name,
    versions,
    current: find(current),
    previous: find(previous),
    pending: find(pending),
    deletedAt,
    labels: Object.fromEntries(labels),
    description,
    createdAt: Math.min(first.at, ...versions.map(({ at }) => at)),
    updatedAt: last.at,
    highestVersion: Math.max(0, ...[...raw.values()].map(({ version }) => version)),
    currentBy,
    currentIsLost: current !== undefined && find(current) === undefined,
  };
}

/** Versions by the event that wrote them. */
type RawVersions = Map<
  string,
  { version: number; at: number; by: string | undefined; event: ValueEvent | undefined }
>;

/** What all events make of a secret, one after the other. */
function applied(events: readonly StoredEvent[]) {
  const raw: RawVersions = new Map();
  const labels = new Map<string, string>();
  let description: string | undefined;
  let current: string | undefined;
  let previous: string | undefined;
  let pending: string | undefined;
  let deletedAt: number | undefined;
  let currentBy = '';
  const destroyed = destroyedBy(events);
  const promote = (id: string, by: StoredEvent | GoneEvent): void => {
    if (destroyed.has(id)) return;
    currentBy = placeOf(by);
    if (id === current) return;
    previous = current;
    current = id;
    if (pending === id) pending = undefined;
  };
  const describe = (said: Partial<Pick<ValueEvent, 'labels' | 'description'>>): void => {
    for (const [label, value] of Object.entries(said.labels ?? {})) {
      if (value === null) labels.delete(label);
      else labels.set(label, value);
    }
    description = said.description ?? description;
  };
  for (const event of withGone(events)) {
    switch (event.type) {
      case 'value':
      case 'gone': {
        const value = event.type === 'value' ? event : undefined;
        raw.set(event.id, { version: event.version, at: event.at, by: event.by, event: value });
        describe(event);
        if (event.stage === 'current') promote(event.id, event);
        else pending = value?.id;
        deletedAt = undefined;
        break;
      }
      case 'current':
        // Also for a missing version, because an older one must not pass for the current one.
        promote(event.target, event);
        describe(event);
        deletedAt = undefined;
        break;
      case 'delete':
        deletedAt ??= event.at;
        // After a restore or a new write, the unfinished rotation must not be there any more.
        pending = undefined;
        break;
      case 'restore':
        deletedAt = undefined;
        break;
      case 'destroy':
        break;
    }
  }
  return { raw, labels, description, current, previous, pending, deletedAt, currentBy };
}

/** Versions in the order of their numbers. Those that two branches wrote have an id of their own. */
function inOrder(raw: RawVersions): FoldedVersion[] {
  const counts = new Map<number, number>();
  for (const { version } of raw.values()) counts.set(version, (counts.get(version) ?? 0) + 1);
  const sorted = [...raw].sort(
    ([oneId, one], [otherId, other]) =>
      one.version - other.version || one.at - other.at || (oneId < otherId ? -1 : 1),
  );
  return sorted.map(([eventId, { version, at, by, event }]): FoldedVersion => {
    const forked = (counts.get(version) ?? 0) > 1;
    return {
      id: forked ? `${version}.${eventId.slice(0, 8)}` : String(version),
      eventId,
      at,
      by,
      forked,
      event,
    };
  });
}

/** The version that a user named. @throws SecretsError NotFound, Invalid for a number that two versions have */
export function findVersion(state: SecretState, id: string): FoldedVersion {
  const exact = state.versions.find((version) => version.id === id);
  if (exact !== undefined) return exact;
  const forks = state.versions.filter((version) => version.forked && version.id.startsWith(`${id}.`));
  if (forks.length > 0) {
    throw new SecretsError('Invalid', `version ${id} was written on two branches`, {
      hint: `name one of ${forks.map((fork) => fork.id).join(', ')}`,
    });
  }
  throw new SecretsError('NotFound', `has no version ${id}`, { hint: 'secrets history lists them' });
}

/** A version's state, stages and time for display. */
export function versionInfo(state: SecretState, version: FoldedVersion): VersionInfo {
  const stages = [
    ...(state.current === version ? ['current'] : []),
    ...(state.previous === version ? ['previous'] : []),
    ...(state.pending === version ? ['pending'] : []),
  ];
  const expires = version.event?.expires;
  return {
    id: version.id,
    state: version.event === undefined ? 'destroyed' : state.deletedAt === undefined ? 'enabled' : 'deleted',
    stages,
    createdAt: new Date(version.at),
    createdBy: version.by,
    expiresAt: expires === undefined ? undefined : new Date(expires),
    note: version.forked ? `two branches wrote version ${version.id.split('.', 1)[0]}` : undefined,
  };
}
