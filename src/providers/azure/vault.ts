/** The vault's secrets by Azure's own names: single requests and waits; translates the service's refusals. */
import type {
  KeyVaultSecret,
  PollerLike,
  PollOperationState,
  SecretClient,
  SecretProperties,
  SetSecretOptions,
} from '@azure/keyvault-secrets';
import { SecretsError } from '../../core/errors.ts';
import { sleep } from '../../core/waiting.ts';
import { isKind, isRefusal, purgeProtected } from './errors.ts';
import type { AzureService } from './service.ts';

/** Milliseconds between two polls of a deletion or recovery. */
const POLL = 500;
/** How often an operation is repeated while the name's deletion, recovery or purge is in progress. */
const MOVING_TRIES = 8;
const PAGE = 25;

type Deleted = Awaited<ReturnType<SecretClient['getDeletedSecret']>>;

/** The newest version: with its value, or without it if the version is disabled. */
export interface Newest {
  readonly properties: SecretProperties;
  readonly value?: string | undefined;
}

/** The service's id of a request, which also appears in its log. */
const REQUEST_ID = 'x-ms-request-id';
interface Requested {
  readonly requestId?: string;
}

export class KeyVault {
  readonly #service: AzureService;
  readonly #debug: (message: string) => void;

  constructor(service: AzureService, debug: (message: string) => void) {
    this.#service = service;
    this.#debug = debug;
  }

  /** One version; the newest one without an id. @throws SecretsError NotFound, Invalid for a disabled one */
  async get(
    name: string,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<KeyVaultSecret & { value: string } & Requested> {
    let requestId: string | undefined;
    const secret = await this.#service.call(signal, 'read', (client, options) =>
      client.getSecret(name, {
        ...options,
        ...(version !== undefined && { version }),
        onResponse: ({ headers }) => (requestId = headers.get(REQUEST_ID)),
      }),
    );
    const { value, properties } = secret;
    if (typeof value !== 'string' || typeof properties.version !== 'string')
      throw new SecretsError('Unavailable', 'the vault’s response has no value');
    return { ...secret, value, ...(requestId !== undefined && { requestId }) };
  }

  /** The newest version, disabled or not; `undefined` if there is no such secret. */
  async newest(name: string, signal: AbortSignal): Promise<Newest | undefined> {
    try {
      return await this.get(name, undefined, signal);
    } catch (thrown) {
      if (isKind(thrown, 'NotFound')) return undefined;
      if (!isRefusal(thrown, 'disabled')) throw thrown;
      const [properties] = byAge(await this.versions(name, signal));
      return properties === undefined ? undefined : { properties };
    }
  }

  async set(
    name: string,
    value: string,
    more: SetSecretOptions,
    signal: AbortSignal,
  ): Promise<KeyVaultSecret & Requested> {
    let requestId: string | undefined;
    const secret = await this.#settled(signal, () =>
      this.#service.call(signal, 'write', (client, options) =>
        client.setSecret(name, value, {
          ...more,
          ...options,
          onResponse: ({ headers }) => (requestId = headers.get(REQUEST_ID)),
        }),
      ),
    );
    return { ...secret, ...(requestId !== undefined && { requestId }) };
  }

  /** Retries for a while when an earlier deletion, recovery or purge of the name is still in progress. */
  async #settled<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let left = MOVING_TRIES; ; left -= 1) {
      try {
        return await work();
      } catch (thrown) {
        if (left === 0 || !isRefusal(thrown, 'moving')) throw thrown;
        await sleep(POLL * 2, signal, true);
      }
    }
  }

  /** Changes a version's attributes and tags. Idempotent. */
  async update(
    name: string,
    version: string,
    changes: {
      readonly enabled?: boolean;
      readonly tags?: Record<string, string>;
      readonly expiresOn?: Date;
    },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#service.call(signal, 'repeat', (client, options) =>
      client.updateSecretProperties(name, version, { ...changes, ...options }),
    );
  }

  /** Every version, in the service's order; empty for a missing secret. */
  async versions(name: string, signal: AbortSignal): Promise<SecretProperties[]> {
    const found: SecretProperties[] = [];
    try {
      for await (const page of this.#pages(signal, (client, options) =>
        client.listPropertiesOfSecretVersions(name, options),
      ))
        found.push(...page);
    } catch (thrown) {
      if (!isKind(thrown, 'NotFound')) throw thrown;
    }
    return found;
  }

  list(signal: AbortSignal): AsyncIterable<readonly SecretProperties[]> {
    return this.#pages(signal, (client, options) => client.listPropertiesOfSecrets(options));
  }

  listDeleted(signal: AbortSignal): AsyncIterable<readonly Deleted[]> {
    return this.#pages(signal, (client, options) => client.listDeletedSecrets(options));
  }

  async *#pages<T>(
    signal: AbortSignal,
    list: (
      client: SecretClient,
      options: { abortSignal: AbortSignal },
    ) => { byPage(settings: { maxPageSize: number }): AsyncIterable<T[]> },
  ): AsyncIterable<readonly T[]> {
    let pages: AsyncIterator<T[]> | undefined;
    for (;;) {
      const step = await this.#service.call(signal, 'read', (client, options) => {
        pages ??= list(client, options).byPage({ maxPageSize: PAGE })[Symbol.asyncIterator]();
        return pages.next();
      });
      if (step.done === true) return;
      yield step.value;
    }
  }

  /** A soft-deleted secret; `undefined` if there is none. */
  async deleted(name: string, signal: AbortSignal): Promise<Deleted | undefined> {
    try {
      return await this.#service.call(signal, 'read', (client, options) =>
        client.getDeletedSecret(name, options),
      );
    } catch (thrown) {
      if (isKind(thrown, 'NotFound')) return undefined;
      throw thrown;
    }
  }

  /** Soft-deletes a secret and waits until the service has finished. @throws SecretsError NotFound */
  delete(name: string, signal: AbortSignal): Promise<Deleted> {
    return this.#service.call(signal, 'write', async (client, options) => {
      const poller = await client.beginDeleteSecret(name, options);
      return this.#wait(poller, `${name} is being deleted`, signal);
    });
  }

  /**
   * Polls until the end and reports progress. The SDK's own wait can't be interrupted, and its pollers report no
   * progress.
   */
  async #wait<T>(
    poller: PollerLike<PollOperationState<T>, T>,
    progress: string,
    signal: AbortSignal,
  ): Promise<T> {
    while (!poller.isDone()) {
      this.#debug(progress);
      await sleep(POLL, signal, true);
      signal.throwIfAborted();
      await poller.poll({ abortSignal: signal });
    }
    return poller.getResult() as T;
  }

  /** Undoes a deletion and waits until the service has finished. @throws SecretsError NotFound */
  async recover(name: string, signal: AbortSignal): Promise<void> {
    await this.#settled(signal, () =>
      this.#service.call(signal, 'write', async (client, options) => {
        const poller = await client.beginRecoverDeletedSecret(name, options);
        await this.#wait(poller, `${name} is being restored`, signal);
      }),
    );
  }

  /**
   * Permanently deletes a soft-deleted secret, and waits until its name is free.
   * @throws SecretsError NotFound, Denied under purge protection
   */
  async purge(deleted: Deleted, signal: AbortSignal): Promise<void> {
    const { name } = deleted;
    checkPurgeable(deleted.properties.recoveryLevel, deleted.scheduledPurgeDate);
    await this.#service.call(signal, 'write', (client, options) => client.purgeDeletedSecret(name, options));
    for (let ms = 50; (await this.deleted(name, signal)) !== undefined; ms = Math.min(ms * 2, 2000)) {
      this.#debug(`${name} is being purged`);
      await sleep(ms, signal, true);
    }
  }
}

/** @throws SecretsError Denied if the vault doesn't allow purging */
export function checkPurgeable(level: string | undefined, until?: Date): void {
  if (level !== undefined && !level.includes('Purgeable')) throw purgeProtected(undefined, until);
}

/** Newest first, by the service's clock, which has whole seconds. */
export function byAge(versions: readonly SecretProperties[]): SecretProperties[] {
  return versions.toSorted((a, b) => (b.createdOn?.getTime() ?? 0) - (a.createdOn?.getTime() ?? 0));
}
