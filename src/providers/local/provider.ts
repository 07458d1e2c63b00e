/** The local store behind the provider interface. */
// Longer than others: one class that answers every method of the interface, each a few lines over the journal.
/* oxlint-disable max-lines */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type {
  CallOptions,
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  KeyChange,
  ListQuery,
  Provider,
  ProviderContext,
  ProviderRules,
  SecretInfo,
  SecretRequest,
  SecretVersion,
  SecretWrite,
  VersionInfo,
} from '../provider.ts';
import type { StoreFolder } from './index.ts';
import type { Journal, JournalFolder } from './journal.ts';
import {
  type EventBody,
  type FoldedVersion,
  findVersion,
  fold,
  type SecretState,
  type ValueEvent,
  versionInfo,
} from './state.ts';

const RULES: ProviderRules = {
  maxNameLength: 1024,
  nameUnit: 'bytes',
  nameRule: '1 to 1024 bytes of UTF-8, no control characters, no empty, . or .. segments',
  maxValueBytes: 1024 * 1024,
  emptyValue: true,
};

export class LocalProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability> = new Set<Capability>([
    'versions',
    'stages',
    'soft-delete',
    'labels',
    'batch-get',
    'cas',
  ]);
  readonly rules = RULES;
  readonly #folder: StoreFolder;
  readonly #context: ProviderContext;

  constructor(folder: StoreFolder, context: ProviderContext) {
    this.#folder = folder;
    this.#context = context;
  }

  checkName(name: string): void {
    const bytes = Buffer.byteLength(name);
    const segments = name.split('/');
    const fits =
      bytes >= 1 &&
      bytes <= RULES.maxNameLength &&
      !/[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u.test(name) &&
      segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
    if (!fits) throw new SecretsError('Invalid', `the local store takes names of ${RULES.nameRule}`);
  }

  async get(requests: readonly SecretRequest[], { signal }: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(signal);
    const journal = await this.#folder.existing();
    const results = this.#readAll(journal, requests);
    const stale = results.some((result) => !result.ok && result.error.kind === 'Integrity');
    // A key renewal between opening the store and reading a file looks like damage: look again with the new key.
    if (!stale || this.#folder.manifest()?.key.id === journal?.keys.currentId) return results;
    return this.#readAll(await this.#folder.existing(), requests);
  }

  #readAll(journal: JournalFolder | undefined, requests: readonly SecretRequest[]): readonly GetResult[] {
    return requests.map((request): GetResult => {
      try {
        this.checkName(request.name);
        return { ok: true, secret: this.#read(journal, request) };
      } catch (thrown) {
        return { ok: false, error: toSecretsError(thrown) };
      }
    });
  }

  #read(journal: JournalFolder | undefined, request: SecretRequest): SecretVersion {
    const { name, version, stage = 'current' } = request;
    if (journal === undefined) throw notFound();
    const sid = journal.secretId(name);
    if (version === undefined && stage === 'current') {
      // The usual case needs one file: the newest event is the current value.
      const newest = journal.files(sid).at(-1);
      if (newest === undefined) throw notFound();
      const event = this.#naming(name, () => journal.read(sid, newest));
      if (event.type === 'value' && event.stage === 'current') {
        const state = fold([event]) as SecretState;
        if (!this.#mayBeForked(journal, sid, newest.number))
          return asVersion(name, state, state.current, event);
      }
    }
    const loaded = journal.load(sid);
    const state = stateOf(loaded, name);
    if (state === undefined) throw notFound();
    if (state.deletedAt !== undefined) {
      throw new SecretsError('NotFound', 'is deleted', { hint: 'secrets restore brings it back' });
    }
    let found: FoldedVersion | undefined;
    if (version !== undefined) {
      if (loaded.damage.length > 0 && !state.versions.some(({ id }) => id === version))
        throw damaged(loaded, name);
      found = findVersion(state, version);
    } else {
      if (loaded.damage.length > 0 && loaded.damage.some(({ number }) => number >= lastNumber(loaded))) {
        throw damaged(loaded, name);
      }
      found = stage === 'current' || stage === 'previous' || stage === 'pending' ? state[stage] : undefined;
      if (found === undefined && loaded.damage.length > 0) throw damaged(loaded, name);
      if (found === undefined) throw new SecretsError('NotFound', `has no ${stage} version`);
    }
    if (found.event === undefined) throw new SecretsError('NotFound', `version ${found.id} is destroyed`);
    return asVersion(name, state, found, found.event);
  }

  /** Whether another file has the newest number: then the version ids need the whole history. */
  #mayBeForked(journal: JournalFolder, sid: string, number: number): boolean {
    return journal.files(sid).filter((parts) => parts.number === number).length > 1;
  }

  #naming<T>(name: string, work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind !== 'Integrity') throw error;
      throw new SecretsError('Integrity', `the current version of ${name} ${error.message}`, {
        hint: 'older versions may still read: secrets history',
        cause: error,
      });
    }
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    if (write.value.length > RULES.maxValueBytes) {
      throw new SecretsError(
        'Invalid',
        `the value has ${write.value.length} bytes; the local store takes ${RULES.maxValueBytes}`,
      );
    }
    checkSignal(signal);
    const journal = await this.#folder.existingOrNew();
    checkSignal(signal);
    const { labels, description, expiresAt } = write;
    const event = journal.append(name, (before) => {
      const state = fold(before.events);
      checkConditions(write, state);
      return {
        type: 'value',
        name,
        ...this.#author(),
        version: (state?.highestVersion ?? 0) + 1,
        stage: write.stage ?? 'current',
        value: Buffer.from(write.value).toString('base64'),
        ...(labels !== undefined && { labels }),
        ...(description !== undefined && { description }),
        ...(expiresAt !== undefined && { expires: expiresAt.getTime() }),
      };
    });
    return infoOf(journal, name, event.id);
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const journal = await this.#folder.existing();
    if (journal === undefined) return;
    const unreadable: string[] = [];
    for (const sid of journal.secretIds()) {
      checkSignal(signal);
      const newest = journal.files(sid).at(-1);
      if (newest === undefined) continue;
      let info: SecretInfo | undefined;
      try {
        const event = journal.read(sid, newest);
        if (query.prefix !== undefined && !event.name.startsWith(query.prefix)) continue;
        if (event.type === 'value' && event.stage === 'current' && query.details !== true) {
          info = { name: event.name, updatedAt: new Date(event.at), currentVersion: String(event.version) };
        } else {
          const loaded = journal.load(sid);
          const state = fold(loaded.events) as SecretState;
          // Only pending yet: no secret to its readers.
          if (state.current === undefined) continue;
          info = describeState(state);
        }
      } catch (thrown) {
        const error = toSecretsError(thrown);
        if (error.kind !== 'Integrity') throw error;
        unreadable.push(journal.load(sid).events[0]?.name ?? `(hidden name) ${sid}`);
        continue;
      }
      if (info.deletedAt === undefined || query.deleted === true) yield info;
    }
    if (unreadable.length > 0) {
      throw new SecretsError('Integrity', `damaged in the local store: ${unreadable.join(', ')}`, {
        hint: 'all others were listed; restore the files of these from a backup or from version control',
      });
    }
  }

  async delete(name: string, _query: DeleteQuery, options: CallOptions): Promise<Deletion> {
    await this.#change(name, options, (state) => {
      if (state.deletedAt !== undefined) throw new SecretsError('NotFound', 'is deleted already');
      if (state.current === undefined) throw notFound();
      return { type: 'delete', name, ...this.#author() };
    });
    return {};
  }

  async restore(name: string, options: CallOptions): Promise<void> {
    await this.#change(name, options, (state) => {
      if (state.deletedAt === undefined) throw new SecretsError('Conflict', 'is not deleted');
      return { type: 'restore', name, ...this.#author() };
    });
  }

  async makeCurrent(name: string, version: string, options: CallOptions): Promise<VersionInfo> {
    let target = '';
    const journal = await this.#change(name, options, (state) => {
      if (state.deletedAt !== undefined)
        throw new SecretsError('NotFound', 'is deleted', { hint: 'restore it first' });
      const found = findVersion(state, version);
      if (found.event === undefined) throw new SecretsError('Invalid', `version ${found.id} is destroyed`);
      target = found.eventId;
      return { type: 'current', name, target, ...this.#author() };
    });
    return infoOf(journal, name, target);
  }

  async purge(name: string, version: string | undefined, options: CallOptions): Promise<void> {
    if (version === undefined) {
      const journal = await this.#existing(name, options);
      journal.purge(journal.secretId(name));
      return;
    }
    let gone: ValueEvent | undefined;
    const journal = await this.#change(name, options, (state) => {
      const found = findVersion(state, version);
      if (found.event === undefined)
        throw new SecretsError('NotFound', `version ${found.id} is destroyed already`);
      if (state.current === found) {
        throw new SecretsError('Conflict', `version ${found.id} is the current one`, {
          hint: 'make another version current first, or purge the whole secret',
        });
      }
      gone = found.event;
      const { id, at } = gone;
      return { type: 'destroy', name, target: id, version: gone.version, written: at, ...this.#author() };
    });
    if (gone !== undefined) journal.remove(journal.secretId(name), gone);
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    checkSignal(signal);
    const journal = await this.#folder.existing();
    const loaded = journal?.load(journal.secretId(name));
    const state = loaded === undefined ? undefined : stateOf(loaded, name);
    if (state?.current === undefined) throw notFound();
    return describeState(state);
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    this.checkName(name);
    checkSignal(signal);
    const journal = await this.#folder.existing();
    const loaded = journal?.load(journal.secretId(name));
    const state = loaded === undefined ? undefined : stateOf(loaded, name);
    if (loaded === undefined || state === undefined) throw notFound();
    for (const version of [...state.versions].reverse()) yield versionInfo(state, version);
    if (loaded.damage.length > 0) throw damaged(loaded, name);
  }

  async identity(): Promise<Identity> {
    const manifest = this.#folder.manifest();
    const { env } = this.#context;
    return {
      principal: env['USER'] ?? env['LOGNAME'] ?? `uid ${process.getuid?.() ?? 'unknown'}`,
      source:
        manifest === undefined
          ? 'no store yet: the first put makes one'
          : `key method ${manifest.key.method}`,
      details: { path: this.#folder.path },
    };
  }

  async diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const tryCheck = async (check: string, work: () => Promise<string> | string): Promise<boolean> => {
      try {
        findings.push({ check, status: 'ok', detail: await work() });
        return true;
      } catch (thrown) {
        const { message, hint } = toSecretsError(thrown);
        findings.push({ check, status: 'fail', detail: message, hint });
        return false;
      }
    };
    const manifest = await tryCheck('folder', () => {
      const found = this.#folder.manifest();
      return found === undefined ? `${this.#folder.path} (made by the first put)` : this.#folder.path;
    });
    if (!manifest) return findings;
    const unlocked = await tryCheck('key', async () => {
      const journal = await this.#folder.existing();
      return journal === undefined
        ? 'not made yet'
        : `opens with ${this.#folder.manifest()?.key.method ?? 'its key'}`;
    });
    if (!unlocked) return findings;
    await tryCheck('entries', async () => {
      let count = 0;
      for await (const secret of this.list({}, { signal })) count += secret.name === '' ? 0 : 1;
      return `${count} secrets read`;
    });
    return findings;
  }

  async rekey(change: KeyChange, { signal }: CallOptions): Promise<{ readonly resealed: number }> {
    checkSignal(signal);
    const { rekey } = await import('./rekey.ts');
    return rekey(this.#folder, change);
  }

  async close(): Promise<void> {
    this.#folder.reset();
  }

  async #existing(name: string, { signal }: CallOptions): Promise<JournalFolder> {
    this.checkName(name);
    checkSignal(signal);
    const journal = await this.#folder.existing();
    if (journal === undefined || journal.files(journal.secretId(name)).length === 0) throw notFound();
    return journal;
  }

  async #change(
    name: string,
    options: CallOptions,
    decide: (state: SecretState) => EventBody,
  ): Promise<JournalFolder> {
    const journal = await this.#existing(name, options);
    journal.append(name, (before) => {
      const state = stateOf(before, name);
      if (state === undefined) throw notFound();
      return decide(state);
    });
    return journal;
  }

  #author(): { by?: string } {
    const by = this.#context.env['USER'] ?? this.#context.env['LOGNAME'];
    return by === undefined ? {} : { by };
  }
}

function checkConditions(write: SecretWrite, state: SecretState | undefined): void {
  const deleted = state?.deletedAt !== undefined;
  const current = deleted ? undefined : state?.current;
  if (write.stage === 'pending') {
    // A pending version would bring the deleted value back with it.
    if (deleted)
      throw new SecretsError('Conflict', 'a deleted secret of this name is in the way', {
        hint: 'secrets restore brings it back, secrets purge removes it for good',
      });
    if (write.ifAbsent === true && state?.pending !== undefined)
      throw new SecretsError('Conflict', `version ${state.pending.id} is pending already`, {
        hint: 'finish that rotation, or purge this version',
      });
  } else if (write.ifAbsent === true && current !== undefined) {
    throw new SecretsError('Conflict', 'exists already');
  }
  if (write.ifVersion !== undefined && current?.id !== write.ifVersion) {
    throw new SecretsError(
      'Conflict',
      `its current version is ${current?.id ?? 'none'}, not ${write.ifVersion}`,
      {
        hint: 'read it again, then repeat the change',
      },
    );
  }
}

function infoOf(journal: JournalFolder, name: string, eventId: string): VersionInfo {
  const state = stateOf(journal.load(journal.secretId(name)), name);
  const version = state?.versions.find((entry) => entry.eventId === eventId);
  if (state === undefined || version === undefined) throw notFound();
  return versionInfo(state, version);
}

function stateOf(loaded: Journal, name: string): SecretState | undefined {
  const state = fold(loaded.events);
  if (state === undefined && loaded.damage.length > 0) throw damaged(loaded, name);
  return state;
}

function lastNumber(loaded: Journal): number {
  return loaded.events.at(-1)?.number ?? 0;
}

function damaged(loaded: Journal, name: string): SecretsError {
  const files = loaded.damage.map(({ file, why }) => (why.includes(file) ? why : `${file} ${why}`));
  return new SecretsError('Integrity', `the history of ${name} is damaged: ${files.slice(0, 3).join('; ')}`, {
    hint: 'restore these files from a backup or from version control',
  });
}

function asVersion(
  name: string,
  state: SecretState,
  version: FoldedVersion | undefined,
  event: ValueEvent,
): SecretVersion {
  if (version === undefined) throw notFound();
  return { ...versionInfo(state, version), name, value: Buffer.from(event.value, 'base64') };
}

function describeState(state: SecretState): SecretInfo {
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

function notFound(): SecretsError {
  return new SecretsError('NotFound', 'there is no such secret');
}

function checkSignal(signal: AbortSignal): void {
  if (signal.aborted) throw new SecretsError('Unavailable', 'the deadline passed before the store was read');
}
