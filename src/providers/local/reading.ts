/**
 * Answers questions about one secret from its files, and decides which damage matters for which question:
 * docs/local-store.md, section 8.
 */
import { SecretsError } from '../../core/errors.ts';
import type { SecretInfo, SecretVersion } from '../../core/secret.ts';
import { softDeleted } from '../errors.ts';
import type { SecretRequest } from '../provider.ts';
import type { Journal, JournalFolder } from './journal.ts';
import type { FileParts } from './entry-file.ts';
import {
  currentPlace,
  findVersion,
  type FoldedVersion,
  fold,
  type SecretState,
  type StoredEvent,
  versionInfo,
} from './state.ts';

/** One version with its value. @throws SecretsError NotFound, Integrity, Invalid for an ambiguous version */
export function readVersion(journal: JournalFolder, request: SecretRequest): SecretVersion {
  const { name, version, stage = 'current' } = request;
  const sid = journal.secretId(name);
  if (version === undefined && stage === 'current') {
    // The usual case needs one file: the newest entry is the current value, whatever came before it.
    const files = journal.files(sid);
    const newest = files.at(-1);
    if (newest === undefined) throw notFound();
    const event = naming(name, () => journal.read(sid, newest));
    if (isCurrentValue(event) && !hasTwins(files)) {
      const state = fold([event]) as SecretState;
      return asVersion(state, state.current);
    }
  }
  const loaded = journal.load(sid);
  const state = stateOf(loaded, name);
  if (state === undefined) throw notFound();
  const { damage } = loaded;
  if (version === undefined) {
    if (stage === 'current') checkCurrent(loaded, state);
    else if (damage.length > 0) throw damaged(damage, name);
  }
  if (state.deletedAt !== undefined) throw softDeleted();
  if (version !== undefined) {
    if (damage.length > 0 && !state.versions.some(({ id }) => id === version)) throw damaged(damage, name);
    return asVersion(state, findVersion(state, version));
  }
  const found = stage === 'current' || stage === 'previous' || stage === 'pending' ? state[stage] : undefined;
  if (found === undefined) throw new SecretsError('NotFound', `has no ${stage} version`);
  return asVersion(state, found);
}

const isCurrentValue = (event: StoredEvent): boolean => event.type === 'value' && event.stage === 'current';

/** Two files with the same number: another branch has written too, and may have used the same version number. */
const hasTwins = (files: readonly FileParts[]): boolean =>
  files.some(({ number }, index) => number === files[index - 1]?.number);

function naming(name: string, work: () => StoredEvent): StoredEvent {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof SecretsError) || thrown.kind !== 'Integrity') throw thrown;
    throw new SecretsError('Integrity', `the current version of ${name} ${thrown.message}`, {
      hint: 'older versions may still read: secrets history',
      cause: thrown,
    });
  }
}

function asVersion(state: SecretState, version: FoldedVersion | undefined): SecretVersion {
  if (version === undefined) throw notFound();
  const { event } = version;
  if (event === undefined) throw new SecretsError('NotFound', `version ${version.id} is destroyed`);
  return { ...versionInfo(state, version), name: state.name, value: Buffer.from(event.value, 'base64') };
}

/** One secret of a list. @returns undefined if it is gone by now */
export function summary(
  journal: JournalFolder,
  sid: string,
  query: { readonly prefix?: string | undefined; readonly details?: boolean | undefined },
): SecretInfo | undefined {
  const files = journal.files(sid);
  const newest = files.at(-1);
  if (newest === undefined) return undefined;
  let event: StoredEvent;
  try {
    event = journal.read(sid, newest);
  } catch (thrown) {
    if (!(thrown instanceof SecretsError) || thrown.kind !== 'Integrity') throw thrown;
    const name = journal.load(sid).events[0]?.name ?? `(hidden name) ${sid}`;
    throw new SecretsError('Integrity', name, { cause: thrown });
  }
  if (query.prefix !== undefined && !event.name.startsWith(query.prefix)) return undefined;
  if (event.type === 'value' && isCurrentValue(event) && !hasTwins(files) && query.details !== true)
    return { name: event.name, updatedAt: new Date(event.at), currentVersion: String(event.version) };
  const loaded = journal.load(sid);
  const state = fold(loaded.events) as SecretState;
  if (harmOf(loaded, state).length > 0) throw new SecretsError('Integrity', event.name);
  // Only pending so far: readers see no secret yet.
  return state.current === undefined ? undefined : describeState(state);
}

/** The state of a secret; undefined if there is none. @throws SecretsError Integrity if all of it is damaged */
export function stateOf({ events, damage }: Journal, name: string): SecretState | undefined {
  const state = fold(events);
  if (state === undefined && damage.length > 0) throw damaged(damage, name);
  return state;
}

/** The damage that leaves open which version is current, or whether the secret is deleted. */
function harmOf({ damage, forked }: Journal, state: SecretState): Journal['damage'] {
  if (state.currentIsLost) return damage;
  // An unreadable event may have made another version current, or deleted the secret, unless a later readable event
  // decides that. On another branch, it may also have destroyed the version that this branch then went back to.
  const certain = forked ? currentPlace(state) : state.currentBy;
  return damage.filter(({ place }) => place > certain);
}

/** @throws SecretsError Integrity if it is unknown which version is current */
export function checkCurrent(loaded: Journal, state: SecretState): void {
  if (harmOf(loaded, state).length > 0) throw damaged(loaded.damage, state.name);
}

/** The state without the stages that the damage leaves open. */
export function certainState(loaded: Journal, state: SecretState): SecretState {
  if (loaded.damage.length === 0) return state;
  const current = harmOf(loaded, state).length > 0 ? undefined : state.current;
  return { ...state, current, previous: undefined, pending: undefined };
}

/** A secret's metadata. */
export function describeState(state: SecretState): SecretInfo {
  const expires = state.current?.event?.expires;
  return {
    name: state.name,
    description: state.description,
    labels: state.labels,
    createdAt: new Date(state.createdAt),
    updatedAt: new Date(state.updatedAt),
    expiresAt: expires === undefined ? undefined : new Date(expires),
    deletedAt: state.deletedAt === undefined ? undefined : new Date(state.deletedAt),
    currentVersion: state.current?.id,
  };
}

/** The error for a secret with damaged files. */
export function damaged(damage: Journal['damage'], name: string): SecretsError {
  const files = damage.map(({ file, why }) => (why.includes(file) ? why : `${file} ${why}`));
  return new SecretsError('Integrity', `the history of ${name} is damaged: ${files.slice(0, 3).join('; ')}`, {
    hint: 'restore these files from a backup or from version control',
  });
}

/** The error for a secret that is not there. */
export function notFound(): SecretsError {
  return new SecretsError('NotFound', 'not found');
}
