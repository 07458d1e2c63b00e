/** Entry of the local provider: finds the store, makes it on the first write, opens it on the first use. */
import { linkSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { xdgFolder } from '../../world.ts';
import type { Provider, ProviderContext, StoreSettings } from '../provider.ts';
import {
  checkFolder,
  codeOf,
  createPrivateFile,
  fileError,
  makePrivateFolder,
  readPrivateFile,
  removeFile,
  syncFolder,
} from '../../files.ts';
import { KEY_LENGTH } from './crypto.ts';
import { JournalFolder } from './journal.ts';
import {
  forgetDataKey,
  keychainReachable,
  keyFilePath,
  readPassphrase,
  unwrapDataKey,
  wrapDataKey,
} from './keys.ts';
import {
  type Keys,
  makeManifest,
  type Manifest,
  newId,
  openManifest,
  parseManifest,
  printManifest,
} from './manifest.ts';
import { LocalProvider } from './provider.ts';
import type { KeyMethod, LocalSettings } from './settings.ts';
import { randomBytes } from 'node:crypto';

const METHODS: readonly string[] = ['keychain', 'key-file', 'passphrase', 'age'];

export function open(settings: StoreSettings, context: ProviderContext): Provider {
  return new LocalProvider(new StoreFolder(settings as LocalSettings, context), context);
}

/** The folder of one store and its keys. */
export class StoreFolder {
  readonly path: string;
  readonly settings: LocalSettings;
  readonly context: ProviderContext;
  #opened: Promise<JournalFolder> | undefined;

  constructor(settings: LocalSettings, context: ProviderContext) {
    const named =
      settings.path ?? context.env['SECRETS_LOCAL_PATH'] ?? join(xdgFolder(context, 'data'), 'store');
    const expanded = named.replace(/^~(?=\/|$)/, context.home);
    this.path = isAbsolute(expanded) ? expanded : resolve(context.cwd, expanded);
    this.settings = settings;
    this.context = context;
  }

  get manifestPath(): string {
    return join(this.path, 'store.json');
  }

  /** store.json, or undefined when the store does not exist yet. @throws SecretsError Denied, Integrity */
  manifest(): Manifest | undefined {
    // A store that was checked out of version control is readable by others; it is made for that with `age`.
    if (!checkFolder(this.path, { hidden: false })) return undefined;
    const bytes = readPrivateFile(this.manifestPath, 'the store', false);
    if (bytes === undefined) return undefined;
    const manifest = parseManifest(bytes, this.manifestPath);
    if (manifest.key.method !== 'age') checkFolder(this.path, { hidden: true });
    return manifest;
  }

  /** The opened store; undefined when there is none. */
  async existing(): Promise<JournalFolder | undefined> {
    const manifest = this.manifest();
    if (manifest === undefined) return undefined;
    // Another process may have renewed the key since.
    if (this.#opened !== undefined && (await this.#opened).keys.currentId === manifest.key.id)
      return this.#opened;
    this.#opened = this.unlock(manifest).then((keys) => this.journal(keys));
    return this.#opened;
  }

  /** The opened store, made when there is none. */
  async existingOrNew(): Promise<JournalFolder> {
    const existing = await this.existing();
    if (existing !== undefined) return existing;
    await this.#create();
    const created = await this.existing();
    if (created === undefined) throw new SecretsError('Failed', `the new store disappeared: ${this.path}`);
    return created;
  }

  /** Opens a manifest with the key it asks for. */
  async unlock(manifest: Manifest): Promise<Keys> {
    const dataKey = await unwrapDataKey(manifest, this.settings, this.context);
    return openManifest(manifest, dataKey, this.manifestPath);
  }

  journal(keys: Keys): JournalFolder {
    return new JournalFolder(this.path, keys, this.context.now);
  }

  /** Forgets the opened keys, so that the next use reads store.json again. */
  reset(): void {
    this.#opened = undefined;
  }

  async #create(): Promise<void> {
    const store = newId(16);
    const keyId = newId(8);
    const method = await this.#method({ store, keyId });
    const dataKey = randomBytes(KEY_LENGTH);
    const keys: Keys = {
      store,
      names: this.settings.names ?? 'hidden',
      currentId: keyId,
      dataKeys: new Map([[keyId, dataKey]]),
      nameKey: randomBytes(KEY_LENGTH),
    };
    makePrivateFolder(join(this.path, 'tmp'));
    checkFolder(this.path, { hidden: method !== 'age' });
    const record = await wrapDataKey(
      method,
      dataKey,
      { store, keyId },
      this.settings,
      this.context,
      this.recipients(),
      () => this.#newPassphrase(),
    );
    const tmp = join(this.path, 'tmp', newId(16));
    createPrivateFile(tmp, printManifest(makeManifest(keys, record)), 'the store');
    try {
      linkSync(tmp, this.manifestPath);
      syncFolder(this.path);
    } catch (thrown) {
      await forgetDataKey(record, store, this.settings, this.context);
      // Another process made the store at the same moment: its store is the store.
      if (codeOf(thrown) === 'EEXIST') return;
      throw fileError(thrown, 'cannot make the store', this.manifestPath);
    } finally {
      removeFile(tmp);
    }
    this.#ignoreScratch();
    if (method === 'key-file') {
      const path = keyFilePath(this.settings, this.context, { store, keyId });
      this.context.warn(`made an encrypted store in ${this.path}; its key is in ${path}: back both up`);
    }
  }

  /** A store in a git repository leaves its scratch folders out. */
  #ignoreScratch(): void {
    try {
      createPrivateFile(join(this.path, '.gitignore'), Buffer.from('tmp/\nclaims/\n'), 'a file of the store');
    } catch (thrown) {
      if (codeOf((thrown as Error).cause) !== 'EEXIST') throw thrown;
    }
  }

  /** Recipients from the settings. */
  recipients(): readonly string[] {
    return this.settings.key?.recipients ?? [];
  }

  async #method(place: { store: string; keyId: string }): Promise<KeyMethod> {
    const { settings, context } = this;
    const named = settings.key?.method ?? context.env['SECRETS_LOCAL_KEY_METHOD'];
    if (named !== undefined) {
      if (METHODS.includes(named)) return named as KeyMethod;
      throw new SecretsError('Usage', `${JSON.stringify(named)} is not a key method`, {
        hint: METHODS.join(', '),
      });
    }
    if (settings.key?.file !== undefined) return 'key-file';
    if (this.recipients().length > 0) return 'age';
    return (await keychainReachable(place)) ? 'keychain' : 'key-file';
  }

  async #newPassphrase(): Promise<string> {
    const first = await readPassphrase(this.context);
    if (first === '') throw new SecretsError('Usage', 'the passphrase is empty');
    const { env, askHidden } = this.context;
    const asked = (env['SECRETS_PASSPHRASE'] ?? '') === '' && (env['SECRETS_PASSPHRASE_FILE'] ?? '') === '';
    if (asked && askHidden !== undefined && (await askHidden('The same passphrase again')) !== first) {
      throw new SecretsError('Usage', 'the two passphrases differ');
    }
    return first;
  }
}
