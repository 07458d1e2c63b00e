/** The folder of one store: finds its manifest, opens it with the required key, and follows renewals of the key. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { checkFolder, entriesOf, readPrivateFile } from '../../platform/files.ts';
import { xdgFolder } from '../../platform/world.ts';
import type { ProviderContext } from '../descriptor.ts';
import { isSecretId } from './entry-file.ts';
import { GoneError, JournalFolder, UnknownKeyError } from './journal.ts';
import { expandPath, type StorePlace } from './place.ts';
import { unwrapDataKey } from './keys.ts';
import {
  type Keys,
  type Manifest,
  manifestFile,
  openManifest,
  parseManifest,
  revisionOf,
} from './manifest.ts';
import type { LocalSettings } from './settings.ts';

/** How often a read starts again because of a concurrent renewal, destruction or purge. */
const TRIES = 1000;

export class StoreFolder implements StorePlace {
  readonly path: string;
  readonly settings: LocalSettings;
  readonly context: ProviderContext;
  #opened: { readonly keyId: string; readonly journal: Promise<JournalFolder> } | undefined;

  constructor(settings: LocalSettings, context: ProviderContext) {
    const named =
      settings.path ?? context.env['SECRETS_LOCAL_PATH'] ?? join(xdgFolder(context, 'data'), 'store');
    this.path = expandPath(context, named);
    this.settings = settings;
    this.context = context;
  }

  /** The path of a revision's manifest. */
  manifestPath(revision: number): string {
    return join(this.path, manifestFile(revision));
  }

  /** The revisions with a manifest, lowest first. More than one is left after an interrupted renewal. */
  revisions(): number[] {
    return entriesOf(this.path)
      .flatMap((entry) => revisionOf(entry) ?? [])
      .toSorted((one, other) => one - other);
  }

  /** The newest manifest; undefined if the store does not exist yet. @throws SecretsError Denied, Integrity */
  manifest(): Manifest | undefined {
    // A store from a version control checkout is readable by others; the method `age` is made for that.
    if (!checkFolder(this.path, 'read')) return undefined;
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      const revision = this.revisions().at(-1);
      if (revision === undefined) {
        // Read twice: a renewal may have put the next manifest in place while the folder was listed.
        if (attempt === 0) continue;
        if (!checkFolder(join(this.path, 'secrets'), 'anything')) return undefined;
        if (!entriesOf(join(this.path, 'secrets')).some((entry) => isSecretId(entry))) return undefined;
        throw new SecretsError('Integrity', `the local store has entries and no manifest: ${this.path}`, {
          hint: `restore ${manifestFile(1)} (or higher) from a backup or from version control`,
        });
      }
      const path = this.manifestPath(revision);
      const bytes = readPrivateFile(path, 'the store', false);
      // A renewal has just replaced it.
      if (bytes === undefined) continue;
      const manifest = parseManifest(bytes, path);
      if (manifest.key.method !== 'age') checkFolder(this.path, 'nothing');
      return manifest;
    }
    throw new SecretsError('Conflict', `the manifest of the local store keeps disappearing: ${this.path}`);
  }

  /** A folder that a write would use or create, and that this user can't write to. */
  unwritable(): string | undefined {
    const folders = [this.path, join(this.path, 'secrets')].filter((path) => existsSync(path));
    if (folders.length === 0) {
      let parent = dirname(this.path);
      while (!existsSync(parent) && parent !== dirname(parent)) parent = dirname(parent);
      folders.push(parent);
    }
    return folders.find((path) => {
      try {
        accessSync(path, constants.W_OK | constants.X_OK);
        return false;
      } catch {
        return true;
      }
    });
  }

  /** The opened store; undefined if there is none. @throws SecretsError Denied, Unauthenticated, Integrity */
  async existing(): Promise<JournalFolder | undefined> {
    for (;;) {
      const manifest = this.manifest();
      if (manifest === undefined) return undefined;
      const keyId = manifest.key.id;
      if (this.#opened?.keyId !== keyId)
        this.#opened = { keyId, journal: this.unlock(manifest).then((keys) => this.journal(keys)) };
      try {
        return await this.#opened.journal;
      } catch (thrown) {
        // A renewal removes the key that the previous manifest needs.
        if (this.manifest()?.key.id === keyId) throw thrown;
      }
    }
  }

  /** The opened store, created if there is none. */
  async existingOrNew(): Promise<JournalFolder> {
    const existing = await this.existing();
    if (existing !== undefined) return existing;
    const { createStore } = await import('./create.ts');
    const keys = await createStore(this);
    // Not read back, because that would ask again for a passphrase that was just typed.
    if (keys !== undefined) this.#adopt(keys);
    const created = await this.existing();
    if (created === undefined) throw new SecretsError('Failed', `the new store disappeared: ${this.path}`);
    return created;
  }

  /** Works on an opened store; repeats the work after a concurrent renewal, purge or destruction. */
  async steady<J extends JournalFolder | undefined, T>(opened: J, work: (journal: J) => T): Promise<T> {
    let journal = opened;
    let newest = false;
    for (let attempt = 1; ; attempt += 1) {
      if (journal !== undefined) journal.keysAreNewest = newest;
      try {
        return work(journal);
      } catch (thrown) {
        const passing = thrown instanceof GoneError || thrown instanceof UnknownKeyError;
        if (!passing || journal === undefined || attempt === TRIES) throw thrown;
        if (thrown instanceof UnknownKeyError) {
          newest = this.manifest()?.key.id === journal.keys.currentId;
          if (!newest) journal = (await this.existing()) as J;
        }
      }
    }
  }

  /** Opens a manifest with the required key. */
  async unlock(manifest: Manifest): Promise<Keys> {
    const dataKey = await unwrapDataKey(manifest, this.settings, this.context);
    return openManifest(manifest, dataKey, this.manifestPath(manifest.revision));
  }

  journal(keys: Keys): JournalFolder {
    return new JournalFolder(this.path, keys, this.context.now);
  }

  #adopt(keys: Keys): void {
    this.#opened = { keyId: keys.currentId, journal: Promise.resolve(this.journal(keys)) };
  }

  reset(): void {
    this.#opened = undefined;
  }

  /** The recipients from the settings. */
  get recipients(): readonly string[] {
    return this.settings.key?.recipients ?? [];
  }
}
