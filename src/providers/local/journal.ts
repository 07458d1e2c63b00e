/**
 * Events on disk: one small sealed file each, written once. A write becomes visible exactly once, without any lock:
 *
 * 1. the sealed event is written to tmp/ and made durable;
 * 2. `link(tmp, claims/<secret>.<number>)` claims the next number: the system lets only one writer do it;
 * 3. `link(tmp, secrets/<secret>/<file>)` publishes it; the folder is made durable; only then is the write
 *    acknowledged;
 * 4. the claim and the temporary file are removed.
 *
 * claims.ts handles the claim of a writer that was killed between 2 and 3.
 */
import { existsSync, linkSync, lstatSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { Claims, type NextNumber } from './claims.ts';
import { associatedData, BoxError, boxKey, hiddenId, seal, unseal } from './crypto.ts';
import {
  fileName,
  type FileParts,
  HEADER,
  isSecretId,
  parseFileName,
  parseHeader,
  printHeader,
  visibleId,
} from './entry-file.ts';
import {
  checkFolder,
  codeOf,
  createPrivateFile,
  entriesOf,
  fileError,
  makePrivateFolder,
  readPrivateFile,
  removeFile,
  syncFolder,
  syncParent,
} from '../../platform/files.ts';
import { currentKey, type Keys, newId } from './manifest.ts';
import { isEventBody } from './event-body.ts';
import { destroyedBy, type EventBody, isForked, missingOf, type StoredEvent } from './state.ts';

/** A temporary file this old belongs to no living writer. */
const STALE_TMP_MS = 3_600_000;
const TRIES = 1000;

/** A missing or unusable file. */
export interface Damage {
  readonly file: string;
  /** Its latest possible place in the order; comparable with file names. */
  readonly place: string;
  readonly why: string;
}

/** Everything on disk about one secret. */
export interface Journal {
  /** Sorted by number, then time, then id. */
  readonly events: readonly StoredEvent[];
  readonly damage: readonly Damage[];
  /** Two branches have written, so an event may have been written without knowledge of an earlier one. */
  readonly forked: boolean;
  /** The highest number on disk, including damaged files. */
  readonly lastNumber: number;
}

/** Decides what to append to the existing events; called again each time another writer was faster. */
export type Decide = (journal: Journal) => EventBody;

/** The appended event, and everything before it. */
export interface AppendResult {
  readonly event: StoredEvent;
  readonly before: Journal;
}

export class JournalFolder {
  readonly root: string;
  readonly keys: Keys;
  /** Set while the keys are known to be the newest: an unknown key then means damage, not a concurrent renewal. */
  keysAreNewest = false;
  readonly #claims: Claims;
  readonly #now: () => Date;

  constructor(root: string, keys: Keys, now: () => Date) {
    this.root = root;
    this.#claims = new Claims(root);
    this.keys = keys;
    this.#now = now;
  }

  /** The folder name of a secret. */
  secretId(name: string): string {
    const hidden = (): string => hiddenId(this.keys.nameKey, name);
    return this.keys.names === 'hidden' ? hidden() : visibleId(name, hidden);
  }

  /** The folder names of all secrets. @throws SecretsError Denied if the folder is a link */
  secretIds(): string[] {
    const folder = join(this.root, 'secrets');
    if (!checkFolder(folder, 'anything')) return [];
    return entriesOf(folder).filter((entry) => isSecretId(entry, this.keys.names));
  }

  folder(sid: string): string {
    return join(this.root, 'secrets', sid);
  }

  /** The files of one secret, oldest first. @throws SecretsError Denied if the folder is a link */
  files(sid: string): FileParts[] {
    const folder = this.folder(sid);
    checkFolder(dirname(folder), 'anything');
    if (!checkFolder(folder, 'anything')) return [];
    return entriesOf(folder)
      .sort()
      .flatMap((file) => parseFileName(file) ?? []);
  }

  /**
   * Opens one file.
   * @throws SecretsError Integrity if it was changed, cut or swapped
   * @throws GoneError, UnknownKeyError if another process is changing the store at the moment
   */
  read(sid: string, parts: FileParts): StoredEvent {
    const path = join(this.folder(sid), parts.file);
    const bytes = readPrivateFile(path, 'an entry of the store', false);
    if (bytes === undefined) throw new GoneError(path);
    try {
      return this.#unseal(sid, parts, bytes);
    } catch (cause) {
      if (!(cause instanceof BoxError) && !(cause instanceof SyntaxError)) throw cause;
      throw new SecretsError('Integrity', `was changed or damaged: ${path}`, { cause });
    }
  }

  #unseal(sid: string, { file, number, at, id }: FileParts, bytes: Buffer): StoredEvent {
    const header = parseHeader(bytes);
    if (header === undefined || header.id !== id || header.at !== at)
      throw new BoxError('has a wrong header');
    const dataKey = this.keys.dataKeys.get(header.keyId);
    if (dataKey === undefined) {
      if (!this.keysAreNewest) throw new UnknownKeyError();
      throw new SecretsError(
        'Integrity',
        `is sealed under a key that the store does not have: ${join(this.folder(sid), file)}`,
      );
    }
    const aad = this.#aad(header.keyId, sid, file);
    const plain = unseal(boxKey(dataKey, id, 'event'), bytes.subarray(HEADER), aad);
    const body: unknown = JSON.parse(plain.toString('utf8'));
    if (!isEventBody(body)) throw new BoxError('holds no entry of this format');
    if (this.secretId(body.name) !== sid) throw new BoxError('belongs to another secret');
    return { ...body, number, at, id };
  }

  /** The content of an event's file. */
  sealEvent(sid: string, event: StoredEvent): Buffer {
    const { number, at, id, ...body } = event;
    const { currentId } = this.keys;
    const key = boxKey(currentKey(this.keys), id, 'event');
    const box = seal(
      key,
      Buffer.from(JSON.stringify(body)),
      this.#aad(currentId, sid, fileName(number, at, id)),
    );
    return Buffer.concat([printHeader({ keyId: currentId, id, at }), box]);
  }

  #aad(keyId: string, sid: string, file: string): Buffer {
    return associatedData('secrets-local/1/event', this.keys.store, keyId, sid, file);
  }

  /**
   * Reads everything about one secret. Never throws because of a damaged file: it is listed.
   * @param cache events read before, by file: files never change, so a writer that repeats only reads new ones
   * @throws GoneError, UnknownKeyError like `read`
   */
  load(sid: string, cache = new Map<string, StoredEvent>()): Journal {
    const sought = new Set<string>();
    for (;;) {
      const journal = this.#loadListed(sid, cache);
      const damagedIds = journal.damage.map(({ file }) => parseFileName(file)?.id);
      const missing = missingOf(journal.events, damagedIds);
      // A listing is not atomic: it can miss both a file that is being destroyed and the entry that records the
      // destruction.
      if (missing.every(({ id }) => sought.has(id))) {
        const damage = missing.map(({ id, place }) => ({
          file: `*-${id}.sealed`,
          place,
          why: 'a file of its history is missing',
        }));
        return { ...journal, damage: [...journal.damage, ...damage] };
      }
      for (const { id } of missing) sought.add(id);
    }
  }

  #loadListed(sid: string, cache: Map<string, StoredEvent>): Journal {
    const events: StoredEvent[] = [];
    const damage: Damage[] = [];
    const files = this.files(sid);
    for (const parts of files) {
      try {
        const event = cache.get(parts.file) ?? this.read(sid, parts);
        cache.set(parts.file, event);
        events.push(event);
      } catch (thrown) {
        if (!(thrown instanceof SecretsError) || thrown.kind !== 'Integrity') throw thrown;
        damage.push({ file: parts.file, place: parts.file, why: thrown.message });
      }
    }
    const destroyed = destroyedBy(events);
    // It doesn't matter whether a destroyed version's file still exists, whole or damaged.
    const harmful = damage.filter(({ file }) => !destroyed.has(parseFileName(file)?.id ?? ''));
    return {
      events,
      damage: harmful,
      forked: isForked(
        events,
        harmful.flatMap(({ file }) => parseFileName(file)?.number ?? []),
      ),
      lastNumber: files.at(-1)?.number ?? 0,
    };
  }

  /**
   * Appends one event to a secret, after `decide` has seen everything before it, and returns it once it is durable.
   * Errors of `decide` are passed on.
   * @throws SecretsError Failed (disk full), Denied, Unsupported (no hard links)
   * @throws GoneError, UnknownKeyError like `read`; nothing has been written then
   */
  append(name: string, decide: Decide): AppendResult {
    const sid = this.secretId(name);
    const cache = new Map<string, StoredEvent>();
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      this.#makeFolders(sid);
      if (attempt === 0) this.#removeStaleTmp();
      const next = this.#claims.settle(sid, () => this.files(sid).at(-1)?.number ?? 0);
      const before = this.load(sid, cache);
      const { number } = next;
      if (before.lastNumber !== number - 1) continue;
      const last = before.events.at(-1);
      const body: EventBody = { ...decide(before), ...(last !== undefined && { parent: last.id }) };
      const at = Math.max(this.#now().getTime(), last?.at ?? 0);
      const id = newId(16);
      const event: StoredEvent = { ...body, number, at, id };
      if (this.#publish(sid, next, event)) return { event, before };
    }
    throw new SecretsError('Conflict', `${TRIES} other writers were faster`, {
      hint: 'try again when fewer processes write',
    });
  }

  #makeFolders(sid: string): void {
    const folder = this.folder(sid);
    for (const path of [join(this.root, 'tmp'), join(this.root, 'claims'), folder]) {
      makePrivateFolder(path);
      // A link from a checkout would redirect writes and deletions elsewhere.
      checkFolder(path, 'anything');
    }
    checkFolder(join(this.root, 'secrets'), 'anything');
  }

  #removeStaleTmp(): void {
    const tmp = join(this.root, 'tmp');
    for (const entry of entriesOf(tmp)) {
      const path = join(tmp, entry);
      try {
        if (Date.now() - lstatSync(path).mtimeMs > STALE_TMP_MS)
          rmSync(path, { recursive: true, force: true });
      } catch (thrown) {
        if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot tidy up', path);
      }
    }
  }

  /** @returns false if another writer has the number, or has voided this writer's claim */
  #publish(sid: string, next: NextNumber, event: StoredEvent): boolean {
    const { number, at, id } = event;
    const tmp = join(this.root, 'tmp', newId(16));
    const final = join(this.folder(sid), fileName(number, at, id));
    createPrivateFile(tmp, this.sealEvent(sid, event), 'the secret');
    try {
      try {
        linkSync(tmp, next.claim);
      } catch (thrown) {
        if (codeOf(thrown) === 'EEXIST') return false;
        throw fileError(thrown, 'cannot write the secret', next.claim);
      }
      if (!this.#link(sid, tmp, number, final)) return false;
    } finally {
      removeFile(tmp);
      if (!existsSync(final)) this.#claims.giveUp(sid, next, id);
    }
    this.#claims.clear(sid, number);
    return true;
  }

  #link(sid: string, tmp: string, number: number, final: string): boolean {
    // Another writer has published this number and released the claim, or purged the entry that this one follows.
    const isNext = (this.files(sid).at(-1)?.number ?? 0) === number - 1;
    try {
      if (isNext) linkSync(tmp, final);
    } catch (thrown) {
      // The whole secret was purged, or the claim was voided: start again.
      if (codeOf(thrown) === 'ENOENT') return false;
      // An earlier version of this program has completed this claim: the entry is in place and must not be written
      // again.
      if (codeOf(thrown) !== 'EEXIST') throw fileError(thrown, 'cannot write the secret', final);
    }
    if (!isNext && !existsSync(final)) return false;
    try {
      syncFolder(dirname(final));
      // The process that created the folder may have been killed before the name was durable.
      if (number === 1) syncParent(dirname(final));
    } catch (thrown) {
      throw fileError(thrown, 'cannot make the write durable', final);
    }
    return true;
  }

  /** Re-encrypts an event's file in place under the current data key, for a key renewal. */
  reseal(sid: string, parts: FileParts): void {
    const event = this.read(sid, parts);
    const tmp = join(this.root, 'tmp', newId(16));
    makePrivateFolder(join(this.root, 'tmp'));
    createPrivateFile(tmp, this.sealEvent(sid, event), 'the store');
    const path = join(this.folder(sid), parts.file);
    try {
      // A file that was destroyed or purged in the meantime must not come back.
      if (existsSync(path)) renameSync(tmp, path);
      else removeFile(tmp);
    } catch (thrown) {
      removeFile(tmp);
      if (codeOf(thrown) !== 'ENOENT') throw fileError(thrown, 'cannot renew the key of', parts.file);
    }
  }

  /** Removes the files of destroyed versions, including those that a killed process left. */
  removeDestroyed(sid: string): void {
    const destroyed = destroyedBy(this.load(sid).events);
    const left = this.files(sid).filter(({ id }) => destroyed.has(id));
    for (const { file } of left) removeFile(join(this.folder(sid), file));
    if (left.length > 0) syncFolder(this.folder(sid));
  }

  /** Removes a secret completely and atomically: the folder is moved away, then emptied. */
  purge(sid: string): void {
    makePrivateFolder(join(this.root, 'tmp'));
    this.#claims.drop(sid);
    const trash = join(this.root, 'tmp', newId(16));
    try {
      renameSync(this.folder(sid), trash);
      syncFolder(join(this.root, 'secrets'));
      this.#claims.drop(sid);
      rmSync(trash, { recursive: true, force: true });
    } catch (thrown) {
      throw fileError(thrown, 'cannot purge', this.folder(sid));
    }
  }
}

/** A file disappeared between listing and reading: it was destroyed or purged. List again. */
export class GoneError extends Error {}

/** A file's key is newer than these keys. Read the manifest again. */
export class UnknownKeyError extends Error {}
