/**
 * Detects whether secrets have changed. Where the store allows it, without reading their values, because reads are
 * audited and cost money: it compares the ids of current versions. If a store has no versions, or doesn't let us see
 * them, it compares values.
 */
import { createHash } from 'node:crypto';
import { forPolling } from '../audit/recording/recorded.ts';
import { combineErrors, SecretsError, toSecretsError } from '../core/errors.ts';
import { type Resolved, resolveAll, type Target } from '../session/resolver.ts';
import { pool } from '../core/waiting.ts';
import type { Provider } from '../providers/provider.ts';
import type { Session } from '../session/session.ts';
import { listAgain, type Listing } from './sources.ts';

/** Concurrent calls, over all stores. */
const PARALLEL = 8;
const MISSING = 'missing';

interface WatchedSecret {
  readonly target: Target;
  /** Id of the version that was seen last, or `MISSING`. */
  version: string;
  /** When the secret itself was created. A secret that was deleted and created again may reuse version ids. */
  created: string | undefined;
  /** Hash of the value, for a store that doesn't show versions. */
  digest: string;
  byValue: boolean;
}

interface SeenVersion {
  readonly version: string;
  readonly created: string | undefined;
}

export class VersionWatch {
  readonly #session: Session;
  #watched = new Map<string, WatchedSecret>();
  #listings: readonly { readonly ref: string; found: string }[] = [];
  /** Stores wrapped for polling: a poll that finds nothing new isn't recorded. */
  readonly #polled = new Map<Provider, Provider>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Watches these secrets, which were just resolved, from now on; keeps what is already known of them. */
  follow(sources: readonly Resolved[], listings: readonly Listing[]): void {
    const watched = new Map<string, WatchedSecret>();
    for (const source of sources) {
      const { store, native, reference } = source.target;
      // A version id always names the same version.
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
   * Whether anything has changed since the last check.
   * @throws SecretsError if nothing has, but something could not be checked
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
      ...all.map((one) => attempt(one.target.text, () => this.#check(one))),
      ...this.#listings.map((one) => attempt(one.ref, () => this.#list(one))),
    ]);
    // After the others, because they may have found secrets that must be compared by value.
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

  async #check(one: WatchedSecret): Promise<boolean> {
    if (one.byValue) return false;
    const { store, native, reference } = one.target;
    const provider = await this.#open(store, native);
    const seen = await this.#seenVersion(provider, reference.name, reference.stage);
    if (seen === undefined) {
      this.#session.debug(`${one.target.text}: its version can’t be seen, so its value is compared`);
      one.byValue = true;
      return false;
    }
    const changed =
      seen.version !== one.version || (one.created !== undefined && seen.created !== one.created);
    one.version = seen.version;
    one.created = seen.created;
    return changed;
  }

  async #open(store: string, native?: Target['native']): Promise<Provider> {
    const opened = await this.#session.open(store, native);
    const known = this.#polled.get(opened) ?? forPolling(opened);
    this.#polled.set(opened, known);
    return known;
  }

  /** The version that a read would return, or `undefined` if only a read can tell. */
  async #seenVersion(
    provider: Provider,
    name: string,
    stage: string | undefined,
  ): Promise<SeenVersion | undefined> {
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
      // The caller may only read values, or the store has no versions.
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
