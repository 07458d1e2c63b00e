/** The local store behind the provider interface. */
import { systemUser } from '../../platform/machine.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { Action, Right } from '../capabilities/rights.ts';
import type { CallOptions } from '../call.ts';
import { alreadyExists, deletedInTheWay, noLongerPending } from '../errors.ts';
import type {
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  ListQuery,
  Provider,
  ProviderRules,
  SecretRequest,
  SecretWrite,
} from '../provider.ts';
import type { KeyChange } from '../capabilities/rekey.ts';
import type { PromoteOptions } from '../capabilities/stages.ts';
import type { SecretInfo, VersionInfo } from '../../core/secret.ts';
import type { StoreFolder } from './folder.ts';
import type { AppendResult, Decide, Journal, JournalFolder } from './journal.ts';
import {
  certainState,
  checkCurrent,
  damaged,
  describeState,
  notFound,
  readVersion,
  stateOf,
  summary,
} from './reading.ts';
import {
  type EventBody,
  findVersion,
  fold,
  removedOf,
  type SecretState,
  type StoredEvent,
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

  constructor(folder: StoreFolder) {
    this.#folder = folder;
  }

  checkName(name: string): void {
    const bytes = Buffer.byteLength(name);
    const segments = name.split('/');
    const fits =
      bytes >= 1 &&
      bytes <= RULES.maxNameLength &&
      !/[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u.test(name) &&
      segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
    if (!fits) throw new SecretsError('Invalid', `the local store allows names of ${RULES.nameRule}`);
  }

  async get(requests: readonly SecretRequest[], { signal }: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(signal);
    const journal = await this.#folder.existing();
    const results: GetResult[] = [];
    for (const request of requests) {
      try {
        this.checkName(request.name);
        if (journal === undefined) throw notFound();
        const secret = await this.#folder.steady(journal, (steady) => readVersion(steady, request));
        results.push({ ok: true, secret });
      } catch (thrown) {
        results.push({ ok: false, error: toSecretsError(thrown) });
      }
    }
    return results;
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    if (write.value.length > RULES.maxValueBytes) {
      throw new SecretsError(
        'Invalid',
        `the value has ${write.value.length} bytes; the local store allows ${RULES.maxValueBytes}`,
      );
    }
    checkSignal(signal);
    const journal = await this.#folder.existingOrNew();
    checkSignal(signal);
    const { labels, description, expiresAt } = write;
    const { event, before } = await this.#append(journal, name, (loaded) => {
      const state = fold(loaded.events);
      if (write.ifAbsent === true || write.ifVersion !== undefined) {
        if (state === undefined) stateOf(loaded, name);
        else checkCurrent(loaded, state);
      }
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
    return infoOf([...before.events, event], event.id);
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const journal = await this.#folder.existing();
    if (journal === undefined) return;
    const unreadable: string[] = [];
    const found: SecretInfo[] = [];
    for (const sid of journal.secretIds()) {
      checkSignal(signal);
      let info: SecretInfo | undefined;
      try {
        info = await this.#folder.steady(journal, (steady) => summary(steady, sid, query));
      } catch (thrown) {
        const error = toSecretsError(thrown);
        if (error.kind !== 'Integrity') throw error;
        unreadable.push(error.message);
        continue;
      }
      if (info !== undefined && (info.deletedAt === undefined || query.deleted === true)) found.push(info);
    }
    // Only the files' content has names; the folder names are random.
    yield* found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    if (unreadable.length > 0) {
      throw new SecretsError('Integrity', `damaged in the local store: ${unreadable.join(', ')}`, {
        hint: 'all others were listed; restore the files of these from a backup or from version control',
      });
    }
  }

  async delete(name: string, _query: DeleteQuery, options: CallOptions): Promise<Deletion> {
    await this.#change(name, options, (state) => {
      if (state.deletedAt !== undefined) throw new SecretsError('NotFound', 'is already deleted');
      if (state.current === undefined && !state.currentIsLost) throw notFound();
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

  async makeCurrent(name: string, version: string, options: PromoteOptions): Promise<VersionInfo> {
    let target = '';
    const { event, before } = await this.#change(name, options, (state) => {
      if (state.deletedAt !== undefined)
        throw new SecretsError('NotFound', 'is deleted', { hint: 'restore it first' });
      const found = findVersion(state, version);
      if (found.event === undefined) throw new SecretsError('Invalid', `version ${found.id} is destroyed`);
      target = found.eventId;
      if (
        options.ifPending === true &&
        ![state.pending, state.current].some((one) => one?.eventId === target)
      )
        throw new SecretsError('Conflict', `version ${found.id} is no longer pending`);
      return { type: 'current', name, target, ...this.#author() };
    });
    return infoOf([...before.events, event], target);
  }

  /** Makes the current version current again, which changes nothing except for the labels in this entry. */
  async setLabels(
    name: string,
    labels: Readonly<Record<string, string | null>>,
    options: CallOptions,
  ): Promise<void> {
    await this.#change(name, options, (state) => {
      if (state.deletedAt !== undefined || state.current === undefined) throw notFound();
      return { type: 'current', name, target: state.current.eventId, labels, ...this.#author() };
    });
  }

  async purge(name: string, version: string | undefined, options: CallOptions): Promise<void> {
    if (version === undefined) {
      const journal = await this.#existing(name, options);
      journal.purge(journal.secretId(name));
      return;
    }
    const destroy = (state: SecretState, before: Journal): EventBody => {
      checkCurrent(before, state);
      const found = findVersion(state, version);
      if (found.event === undefined)
        throw new SecretsError('NotFound', `version ${found.id} is already destroyed`);
      if (state.current === found) {
        throw new SecretsError('Conflict', `version ${found.id} is the current one`, {
          hint: 'make another version current first, or purge the whole secret',
        });
      }
      const { eventId: target, event } = found;
      return { type: 'destroy', name, target, removed: removedOf(event), ...this.#author() };
    };
    try {
      await this.#change(name, options, destroy);
    } finally {
      // Also if another call has destroyed it and was killed before this step.
      const journal = await this.#folder.existing();
      await this.#folder.steady(journal, (steady) => steady?.removeDestroyed(steady.secretId(name)));
    }
  }

  async describe(name: string, options: CallOptions): Promise<SecretInfo> {
    const { state, loaded } = await this.#load(name, options);
    checkCurrent(loaded, state);
    if (state.current === undefined) throw notFound();
    return describeState(state);
  }

  async *history(name: string, options: CallOptions): AsyncIterable<VersionInfo> {
    const { state, loaded } = await this.#load(name, options);
    const certain = certainState(loaded, state);
    for (const version of [...state.versions].reverse()) yield versionInfo(certain, version);
    if (loaded.damage.length > 0) throw damaged(loaded.damage, name);
  }

  async #load(
    name: string,
    options: CallOptions,
  ): Promise<{ readonly state: SecretState; readonly loaded: Journal }> {
    const opened = await this.#existing(name, options);
    return this.#folder.steady(opened, (journal) => {
      const loaded = journal.load(journal.secretId(name));
      const state = stateOf(loaded, name);
      if (state === undefined) throw notFound();
      return { state, loaded };
    });
  }

  /** Checks the modes of its folders: only reading could tell what another key opens. */
  async checkRights(name: string, actions: readonly Action[]): Promise<readonly Right[]> {
    this.checkName(name);
    const missing = this.#folder.unwritable();
    return actions.map((action) =>
      missing === undefined
        ? { action, verdict: 'allowed' }
        : { action, verdict: 'denied', missing: [`the right to write in ${missing}`] },
    );
  }

  async identity(): Promise<Identity> {
    const manifest = this.#folder.manifest();
    return {
      principal: systemUser() ?? `uid ${process.getuid?.() ?? 'unknown'}`,
      source:
        manifest === undefined
          ? 'no store yet: the first put makes one'
          : `key method ${manifest.key.method}`,
      details: { path: this.#folder.path },
    };
  }

  async diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    const { diagnose } = await import('./diagnose.ts');
    return diagnose(this.#folder, () => checkSignal(signal));
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
    decide: (state: SecretState, before: Journal) => EventBody,
  ): Promise<AppendResult> {
    return this.#append(await this.#existing(name, options), name, (before) => {
      const state = stateOf(before, name);
      if (state === undefined) throw notFound();
      return decide(state, before);
    });
  }

  #append(opened: JournalFolder, name: string, decide: Decide): Promise<AppendResult> {
    return this.#folder.steady(opened, (journal) => journal.append(name, decide));
  }

  #author(): { by?: string } {
    const by = systemUser();
    return by === undefined ? {} : { by };
  }
}

function checkConditions(write: SecretWrite, state: SecretState | undefined): void {
  const deleted = state?.deletedAt !== undefined;
  const current = deleted ? undefined : state?.current;
  if (write.stage === 'pending') {
    // A pending version would bring the deleted value back with it.
    if (deleted) throw deletedInTheWay();
    if (write.ifPending !== undefined && state?.pending?.id !== write.ifPending)
      throw noLongerPending(write.ifPending);
    if (write.ifAbsent === true && state?.pending !== undefined)
      throw new SecretsError('Conflict', `version ${state.pending.id} is pending already`, {
        hint: 'finish that rotation, or purge this version',
      });
  } else if (write.ifAbsent === true && current !== undefined) {
    throw alreadyExists();
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

function infoOf(events: readonly StoredEvent[], eventId: string): VersionInfo {
  const state = fold(events);
  const version = state?.versions.find((entry) => entry.eventId === eventId);
  if (state === undefined || version === undefined) throw notFound();
  return versionInfo(state, version);
}

function checkSignal(signal: AbortSignal): void {
  if (signal.aborted) throw new SecretsError('Unavailable', 'the deadline passed before the store was read');
}
