/** The calls of the API that the provider is made of, with secrets by their short ids, and the conditional write. */
import { randomUUID } from 'node:crypto';
import { IN_DOUBT, SecretsError, toSecretsError } from '../../core/errors.ts';
import { crc32c } from './crc32c.ts';
import { CODE, codeUnder, inDoubt } from './errors.ts';
import { lastPart } from './names.ts';
import { type Change, changes, NOTE, type RawSecret, type RawVersion, timestamp } from './resources.ts';
import { type GcpService, limited, pause } from './service.ts';
import type { GcpSettings } from './settings.ts';

/** Versions and secrets a page. */
const PAGE = 250;
/** A claim whose version has not come after this long is its writer's no more. Measured by whoever waits. */
const CLAIM_MS = 8000;
/** A claim's writer has added its version this long after it began to claim, or gives up; well before CLAIM_MS. */
const CLAIM_USE_MS = 6000;

export interface Accessed {
  readonly number: string;
  readonly value: Uint8Array;
}

export class GcpStore {
  readonly service: GcpService;
  readonly #settings: GcpSettings;
  /** Whether the last secret that was read had no etag: then the server has no compare-and-set. */
  lacksEtags = false;

  constructor(service: GcpService, settings: GcpSettings) {
    this.service = service;
    this.#settings = settings;
  }

  async name(id: string, signal: AbortSignal): Promise<string> {
    return `${await this.service.parent(signal)}/secrets/${id}`;
  }

  /** The value of a version by number, alias or `latest`. @throws SecretsError Integrity for a corrupted answer */
  async access(id: string, version: string, signal: AbortSignal): Promise<Accessed> {
    const name = `${await this.name(id, signal)}/versions/${version}`;
    const answer = await this.service.call<{
      readonly name?: string;
      readonly payload?: {
        readonly data?: Uint8Array | string;
        readonly dataCrc32c?: string | number | null;
      };
    }>('accessSecretVersion', { name }, signal);
    const { data, dataCrc32c } = answer.payload ?? {};
    if (!answer.name || !(data instanceof Uint8Array) || data.length === 0)
      throw new SecretsError('Unavailable', 'the answer is not one of Secret Manager', {
        hint: 'check the endpoint: secrets doctor',
      });
    const expected = Number(dataCrc32c ?? 0);
    // Zero stands for a missing checksum in proto3, and for itself: then there is nothing to hold against it.
    if (expected !== 0 && expected !== crc32c(data))
      throw new SecretsError('Integrity', 'its value was changed on the way: the checksum does not match', {
        hint: 'read it again; if that does not help, the stored value is damaged',
      });
    return { number: lastPart(answer.name), value: Buffer.from(data) };
  }

  async secret(id: string, signal: AbortSignal): Promise<RawSecret> {
    const secret = await this.service.call<RawSecret>(
      'getSecret',
      { name: await this.name(id, signal) },
      signal,
    );
    this.lacksEtags = !secret.etag;
    return secret;
  }

  /**
   * Those of these permissions that the caller has on a secret; none on one that is not there.
   * Source: https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions
   */
  async granted(
    id: string,
    permissions: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>> {
    const resource = await this.name(id, signal);
    const answer = await this.service.call<{ readonly permissions?: readonly string[] }>(
      'testIamPermissions',
      { resource, permissions },
      signal,
    );
    return new Set(answer.permissions ?? []);
  }

  /** As `secret`; `undefined` when there is none. */
  async find(id: string, signal: AbortSignal): Promise<RawSecret | undefined> {
    try {
      return await this.secret(id, signal);
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
      return undefined;
    }
  }

  async version(id: string, version: string, signal: AbortSignal): Promise<RawVersion> {
    const name = `${await this.name(id, signal)}/versions/${version}`;
    return this.service.call('getSecretVersion', { name }, signal);
  }

  /** Number of the newest version, whatever its state; 0 for a secret without versions. */
  async newest(id: string, signal: AbortSignal): Promise<number> {
    try {
      return Number(lastPart((await this.version(id, 'latest', signal)).name));
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
      return 0;
    }
  }

  /** Every version, newest first: the service does not promise an order. */
  async versions(id: string, signal: AbortSignal): Promise<readonly RawVersion[]> {
    const parent = await this.name(id, signal);
    const found: RawVersion[] = [];
    for await (const one of this.#pages<RawVersion>('listSecretVersions', 'versions', { parent }, signal))
      found.push(one);
    return found.sort((a, b) => Number(lastPart(b.name)) - Number(lastPart(a.name)));
  }

  async *secrets(prefix: string, signal: AbortSignal): AsyncIterable<RawSecret> {
    const parent = await this.service.parent(signal);
    // The filter looks anywhere in the name; it only makes the pages shorter, and is left out where its language
    // (https://google.aip.dev/160) would read the text as something else.
    const plain = /^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(prefix) && !/^(and|or|not)$/i.test(prefix);
    const filter = plain ? { filter: `name:${prefix}` } : {};
    yield* this.#pages<RawSecret>('listSecrets', 'secrets', { parent, ...filter }, signal);
  }

  async *#pages<T>(method: string, key: string, request: object, signal: AbortSignal): AsyncIterable<T> {
    let pageToken = '';
    do {
      const page = await this.service.page<{ nextPageToken?: string } & Readonly<Record<string, unknown>>>(
        method,
        { ...request, pageSize: PAGE, pageToken },
        signal,
      );
      const items = page[key];
      if (Array.isArray(items)) yield* items as T[];
      pageToken = page.nextPageToken ?? '';
    } while (pageToken !== '');
  }

  /** Makes a secret without versions. @throws SecretsError Conflict when it is there already */
  async create(id: string, content: Partial<ReturnType<Change>>, signal: AbortSignal): Promise<RawSecret> {
    const { replication = {}, location, 'version-destroy-days': days } = this.#settings;
    const { locations, 'kms-key': key } = replication;
    const encryption = key === undefined ? {} : { customerManagedEncryption: { kmsKeyName: key } };
    const policy =
      locations === undefined
        ? { automatic: encryption }
        : { userManaged: { replicas: locations.map((one) => ({ location: one, ...encryption })) } };
    const ttl = days !== undefined && { versionDestroyTtl: { seconds: days * 86_400 } };
    const parent = await this.service.parent(signal);
    // A regional secret lies where it lies: it has no replication.
    const secret = { ...content, ...ttl, ...(location ? encryption : { replication: policy }) };
    return this.#recognised(
      id,
      content,
      this.service.call('createSecret', { parent, secretId: id, secret }, signal),
      signal,
    );
  }

  /**
   * A change of a secret whose answer was lost is looked at before it is given up: what was written is recognised,
   * by the nonce of a claim among other things.
   */
  async #recognised(
    id: string,
    wanted: Partial<ReturnType<Change>>,
    work: Promise<RawSecret>,
    signal: AbortSignal,
  ): Promise<RawSecret> {
    try {
      const secret = await work;
      if (!secret.name) throw strange();
      return secret;
    } catch (thrown) {
      if (!inDoubt(thrown) || signal.aborted) throw thrown;
      const found = await this.find(id, signal).catch(() => undefined);
      const { labels = {}, annotations = {} } = wanted;
      if (found?.name && !changes(found, { labels, annotations })) return found;
      throw thrown;
    }
  }

  /** Adds a version, whatever is there. */
  async add(id: string, value: Uint8Array, signal: AbortSignal): Promise<RawVersion> {
    // Not the array as it came: the client sends the whole of a buffer that a view is only a part of.
    const payload = { data: Buffer.from(value), dataCrc32c: crc32c(value) };
    const version = await this.service.call<RawVersion>(
      'addSecretVersion',
      { parent: await this.name(id, signal), payload },
      signal,
    );
    if (!version.name) throw strange();
    return version;
  }

  /** As `add`, for who holds the claim on this number, in the time of the claim: a lost answer is read back. */
  async #addClaimed(
    id: string,
    number: number,
    value: Uint8Array,
    { signal, use }: { readonly signal: AbortSignal; readonly use: AbortSignal },
  ): Promise<RawVersion> {
    try {
      return await this.add(id, value, use);
    } catch (thrown) {
      if (!inDoubt(thrown) || signal.aborted) throw thrown;
      try {
        const found = await this.access(id, String(number), signal);
        if (Buffer.from(found.value).equals(value)) return await this.version(id, String(number), signal);
      } catch {
        // Then it stays unknown, as the first error says.
      }
      throw thrown;
    }
  }

  /**
   * Changes labels, annotations and expiry of the secret as it was read.
   * @throws SecretsError Conflict when it is not as it was read any more
   */
  async update(
    secret: RawSecret,
    change: ReturnType<Change> & { readonly expireTime?: Date | null },
    signal: AbortSignal,
  ): Promise<RawSecret> {
    const { labels, annotations, expireTime } = change;
    const paths = ['labels', 'annotations', ...(expireTime === undefined ? [] : ['expire_time'])];
    // The name in an answer has the project's number; both are taken.
    const { name, etag } = secret;
    const fresh = {
      name,
      etag,
      labels,
      annotations,
      ...(expireTime && { expireTime: timestamp(expireTime) }),
    };
    const work = this.service.call<RawSecret>(
      'updateSecret',
      { secret: fresh, updateMask: { paths } },
      signal,
    );
    const id = lastPart(name);
    return this.#conflicting(id, etag, this.#recognised(id, { labels, annotations }, work, signal), signal);
  }

  async remove(id: string, etag: string | undefined, signal: AbortSignal): Promise<void> {
    const name = await this.name(id, signal);
    const work = this.service.call('deleteSecret', { name, ...(etag !== undefined && { etag }) }, signal);
    await this.#conflicting(id, etag, work, signal);
  }

  /**
   * A refused etag is FAILED_PRECONDITION (https://cloud.google.com/secret-manager/docs/etags), as other things are:
   * whether it was the etag shows in the secret. ABORTED, as AIP-154 has it, is a conflict by itself.
   */
  async #conflicting<T>(
    id: string,
    etag: string | undefined,
    work: Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    try {
      return await work;
    } catch (thrown) {
      if (!etag || codeUnder(thrown) !== CODE.FAILED_PRECONDITION) throw thrown;
      const now = await this.find(id, signal).catch(() => {
        throw thrown;
      });
      throw now?.etag === etag ? thrown : changed('somebody else changed it');
    }
  }

  async setState(
    id: string,
    version: string,
    verb: 'enable' | 'disable' | 'destroy',
    signal: AbortSignal,
  ): Promise<RawVersion> {
    const name = `${await this.name(id, signal)}/versions/${version}`;
    return this.service.call(`${verb}SecretVersion`, { name }, signal);
  }

  /**
   * Compare-and-set. Adding a version takes no condition, changing the secret does: so the writer first claims the
   * next version in an annotation, under the secret's etag, and adds it then. A second writer finds the claim and
   * waits until its version has come, or for a claim that was left behind, until it is old.
   *
   * A writer that knows nothing of claims can still add a version between the two steps. Version numbers are
   * consecutive, so that is seen, and said.
   * @param expected number of the newest version; 0 for none, also when there is no secret
   * @returns the version, and the secret as the claim left it
   * @throws SecretsError Conflict
   */
  async replace(
    id: string,
    expected: number,
    value: Uint8Array,
    change: Change,
    signal: AbortSignal,
  ): Promise<{ version: RawVersion; secret: RawSecret }> {
    const nonce = randomUUID();
    let seen: { claim: string; since: number } | undefined;
    for (;;) {
      const before = await this.find(id, signal);
      if (before === undefined && expected !== 0) throw changed('is not there');
      if (before?.annotations?.[NOTE.deleted] !== undefined) throw inTheWay();
      const newest = before === undefined ? 0 : await this.newest(id, signal);
      if (newest !== expected)
        throw expected === 0
          ? new SecretsError('Conflict', 'exists already')
          : changed('somebody else changed it');
      if (before !== undefined && !before.etag)
        throw new SecretsError('Unsupported', 'this server gives no etags, so it has no conditional write', {
          hint: 'write without --if-version and --if-absent',
        });
      const claim = before?.annotations?.[NOTE.write];
      if (claim?.startsWith(`${newest}:`) === true) {
        if (seen?.claim !== claim) seen = { claim, since: performance.now() };
        if (performance.now() - seen.since < CLAIM_MS) {
          await pause(50 + Math.random() * 150, signal);
          continue;
        }
      }
      const use = limited(signal, CLAIM_USE_MS);
      try {
        const secret = await this.#claim(id, before, `${newest}:${nonce}`, change, signal);
        if (secret === undefined || use.signal.aborted) continue;
        const version = await this.#addClaimed(id, expected + 1, value, { signal, use: use.signal });
        const number = Number(lastPart(version.name));
        if (number !== expected + 1)
          throw new SecretsError(
            'Conflict',
            `written as version ${number}, but somebody else wrote version ${number - 1} meanwhile`,
            {
              hint: 'secrets history shows both; read it again and repeat the change if it is still right',
            },
          );
        return { version, secret };
      } finally {
        use.end();
      }
    }
  }

  /** Makes or changes the secret so that it holds the claim; `undefined` when somebody else was faster. */
  async #claim(
    id: string,
    before: RawSecret | undefined,
    claim: string,
    change: Change,
    signal: AbortSignal,
  ): Promise<RawSecret | undefined> {
    const { labels, annotations } = change(before ?? {});
    const content = { labels, annotations: { ...annotations, [NOTE.write]: claim } };
    try {
      return before === undefined
        ? await this.create(id, content, signal)
        : await this.update(before, content, signal);
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind === 'Conflict' || (kind === 'NotFound' && before !== undefined)) return undefined;
      throw thrown;
    }
  }
}

function strange(): SecretsError {
  return new SecretsError('Unavailable', 'the answer is not one of Secret Manager' + IN_DOUBT, {
    hint: 'check the endpoint: secrets doctor',
  });
}

function changed(message: string): SecretsError {
  return new SecretsError('Conflict', message, { hint: 'read it again and retry' });
}

export function inTheWay(): SecretsError {
  return new SecretsError('Conflict', 'a deleted secret of this name is in the way', {
    hint: 'secrets restore brings it back, secrets purge removes it for good',
  });
}
