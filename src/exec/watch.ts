/**
 * Tells whether secrets have changed, without reading their values where the store can say so: reads are audited and
 * cost money. It compares the ids of current versions; where a store keeps none, or does not let us see them, values.
 */
import { createHash } from 'node:crypto';
import { forPolling } from '../audit/recording/recorded.ts';
import { combineErrors, SecretsError, toSecretsError } from '../core/errors.ts';
import { type Resolved, resolveAll, type Target } from '../session/resolver.ts';
import { pool } from '../core/waiting.ts';
import type { Provider } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';
import { listAgain, type Listing } from './sources.ts';

/** Questions at a time, of all stores. */
const PARALLEL = 8;
const MISSING = 'missing';

/** One secret that is watched. */
interface WatchedSecret {
  readonly target: Target;
  /** Id of the version that was last seen, or `MISSING`. */
  version: string;
  /** When the secret itself was made: one that was made anew may count its versions from the start. */
  created: string | undefined;
  /** Of the value, for a store that tells no version. */
  digest: string;
  byValue: boolean;
}

interface Sight {
  readonly version: string;
  readonly created: string | undefined;
}

export class VersionWatch {
  readonly #session: Session;
  #watched = new Map<string, WatchedSecret>();
  #listings: readonly { readonly ref: string; found: string }[] = [];
  /** Stores as they are looked at: a look that finds nothing new leaves no record. */
  readonly #looked = new Map<Provider, Provider>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** From now on looks at these, which were just resolved; what is known of them already stays. */
  follow(sources: readonly Resolved[], listings: readonly Listing[]): void {
    const watched = new Map<string, WatchedSecret>();
    for (const source of sources) {
      const { store, native, reference } = source.target;
      // An id names one version for good.
      if (reference.version !== undefined) continue;
      const key = JSON.stringify([store, native ?? null, reference.name, reference.stage ?? null]);
      const known = this.#watched.get(key);
      const digest = source.ok ? digestOf(source.secret.value) : MISSING;
      watched.set(key, {
        target: source.target,
        version: known?.version ?? (source.ok ? source.secret.id : MISSING),
        created: known?.created,
        digest: known?.byValue === true ? known.digest : digest,
        byValue: known?.byValue ?? false,
      });
    }
    this.#watched = watched;
    this.#listings = listings.map(({ ref, found }) => ({ ref, found: namesText(found) }));
  }

  /**
   * Whether anything is different from the last look.
   * @throws SecretsError when nothing is, and something could not be looked at
   */
  async look(): Promise<boolean> {
    const limit = pool(PARALLEL);
    const errors: SecretsError[] = [];
    const all = [...this.#watched.values()];
    const attempt = async (text: string, work: () => Promise<boolean>): Promise<boolean> => {
      try {
        return await limit(work);
      } catch (thrown) {
        errors.push(toSecretsError(thrown).forReference(text));
        return false;
      }
    };
    const changes = await Promise.all([
      ...all.map((one) => attempt(one.target.text, () => this.#lookAt(one))),
      ...this.#listings.map((one) => attempt(one.ref, () => this.#list(one))),
    ]);
    // After the others, which may have found that they belong here.
    changes.push(
      ...(await this.#compare(
        all.filter(({ byValue }) => byValue),
        errors,
      )),
    );
    if (changes.includes(true)) return true;
    if (errors.length > 0) throw combineErrors(errors, `${errors.length} secrets could not be looked at`);
    return false;
  }

  async #lookAt(one: WatchedSecret): Promise<boolean> {
    if (one.byValue) return false;
    const { store, native, reference } = one.target;
    const provider = await this.#open(store, native);
    const sight = await this.#see(provider, reference.name, reference.stage);
    if (sight === undefined) {
      this.#session.debug(`${one.target.text}: its version can’t be seen, so its value is compared`);
      one.byValue = true;
      return false;
    }
    const changed =
      sight.version !== one.version || (one.created !== undefined && sight.created !== one.created);
    one.version = sight.version;
    one.created = sight.created;
    return changed;
  }

  async #open(store: string, native?: Target['native']): Promise<Provider> {
    const opened = await this.#session.open(store, native);
    const known = this.#looked.get(opened) ?? forPolling(opened);
    this.#looked.set(opened, known);
    return known;
  }

  /** The version that is read, or `undefined` when only a read can tell. */
  async #see(provider: Provider, name: string, stage: string | undefined): Promise<Sight | undefined> {
    if (!provider.capabilities.has('versions')) return undefined;
    try {
      if (stage === undefined || stage === 'current') {
        const info = await provider.describe(name, this.#session.call());
        if (info.deletedAt !== undefined) return { version: MISSING, created: undefined };
        if (info.currentVersion !== undefined)
          return { version: info.currentVersion, created: info.createdAt?.toISOString() };
      }
      if (provider.history === undefined) return undefined;
      for await (const { id, stages } of provider.history(name, this.#session.call()))
        if (stages.includes(stage ?? 'current')) return { version: id, created: undefined };
      return undefined;
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind === 'NotFound') return { version: MISSING, created: undefined };
      // A right to read values alone, or a store without versions.
      if (kind === 'Denied' || kind === 'Unsupported') return undefined;
      throw thrown;
    }
  }

  async #compare(watched: readonly WatchedSecret[], errors: SecretsError[]): Promise<readonly boolean[]> {
    if (watched.length === 0) return [];
    const answers = await resolveAll(
      watched.map(({ target: { text, store, native, reference } }) => ({
        text,
        store,
        native,
        reference: { ...reference, key: undefined },
      })),
      (target) => this.#session.open(target.store, target.native),
      this.#session.call(),
    );
    return answers.map((answer, index) => {
      const one = watched[index] as WatchedSecret;
      if (!answer.ok && answer.error.kind !== 'NotFound') {
        errors.push(answer.error);
        return false;
      }
      const digest = answer.ok ? digestOf(answer.secret.value) : MISSING;
      const changed = digest !== one.digest;
      one.digest = digest;
      return changed;
    });
  }

  async #list(one: { readonly ref: string; found: string }): Promise<boolean> {
    const found = namesText(await listAgain(this.#session, one.ref, (store) => this.#open(store)));
    const changed = found !== one.found;
    one.found = found;
    return changed;
  }
}

function digestOf(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('base64');
}

function namesText(names: readonly string[]): string {
  return JSON.stringify(names.toSorted());
}
