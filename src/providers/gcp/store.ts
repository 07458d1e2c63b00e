/** The API calls that the provider is made of, with secrets by their short ids, and the conditional write. */
import { randomUUID } from 'node:crypto';
import { IN_DOUBT, SecretsError, toSecretsError } from '../../core/errors.ts';
import { alreadyExists, changedMeanwhile, deletedInTheWay } from '../errors.ts';
import { crc32c } from './crc32c.ts';
import { CODE, codeUnder, inDoubt } from './errors.ts';
import { lastPart } from './names.ts';
import { type Change, changes, NOTE, type RawSecret, type RawVersion, timestamp } from './resources.ts';
import { type GcpService, limited, pause } from './service.ts';
import type { GcpSettings } from './settings.ts';

/** Versions or secrets on one page. */
const PAGE = 250;
/** After this long without a version, a claim has expired. Measured by the waiting writer. */
const CLAIM_MS = 8000;
/**
 * The claim's writer adds its version within this time after it started to claim, or gives up; well before CLAIM_MS.
 */
const CLAIM_USE_MS = 6000;

export interface Accessed {
  readonly number: string;
  readonly value: Uint8Array;
}

export class GcpStore {
  readonly service: GcpService;
  readonly #settings: GcpSettings;
  /** Whether the last secret read had no etag: the server has no compare-and-set then. */
  lacksEtags = false;

  constructor(service: GcpService, settings: GcpSettings) {
    this.service = service;
    this.#settings = settings;
  }

  async name(id: string, signal: AbortSignal): Promise<string> {
    return `${await this.service.parent(signal)}/secrets/${id}`;
  }

  /** The value of a version by number, alias or `latest`. @throws SecretsError Integrity for a corrupted response */
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
      throw new SecretsError('Unavailable', 'the response is not from Secret Manager', {
        hint: 'check the endpoint: secrets doctor',
      });
    const expected = Number(dataCrc32c ?? 0);
    // In proto3 a zero can mean a missing checksum or a checksum of zero, so there is nothing to compare.
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
   * Which of these permissions the caller has on a secret; none on a missing one. Source:
   * https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/testIamPermissions
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

  /** Like `secret`; `undefined` if there is none. */
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

  /** The number of the newest version, whatever its state; 0 for a secret without versions. */
  async newest(id: string, signal: AbortSignal): Promise<number> {
    try {
      return Number(lastPart((await this.version(id, 'latest', signal)).name));
    } catch (thrown) {
      if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
      return 0;
    }
  }

  /** Every version, newest first; sorted here, because the service promises no order. */
  async versions(id: string, signal: AbortSignal): Promise<readonly RawVersion[]> {
    const parent = await this.name(id, signal);
    const found: RawVersion[] = [];
    for await (const one of this.#pages<RawVersion>('listSecretVersions', 'versions', { parent }, signal))
      found.push(one);
    return found.sort((a, b) => Number(lastPart(b.name)) - Number(lastPart(a.name)));
  }

  async *secrets(prefix: string, signal: AbortSignal): AsyncIterable<RawSecret> {
    const parent = await this.service.parent(signal);
    // The filter matches anywhere in the name, so it only makes the pages shorter; it is left out if its language
    // (https://google.aip.dev/160) would read the prefix as something else.
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

  /** Creates a secret without versions. @throws SecretsError Conflict if it already exists */
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
    // A regional secret has a fixed location, and so no replication.
    const secret = { ...content, ...ttl, ...(location ? encryption : { replication: policy }) };
    return this.#recognised(
      id,
      content,
      this.service.call('createSecret', { parent, secretId: id, secret }, signal),
      signal,
    );
  }

  /**
   * After a lost response to a change, reads the secret and recognises what was written, for example by the nonce of a
   * claim.
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

  /** Adds a version unconditionally. */
  async add(id: string, value: Uint8Array, signal: AbortSignal): Promise<RawVersion> {
    // A copy: the client sends the whole buffer even if the array is a view on a part of it.
    const payload = { data: Buffer.from(value), dataCrc32c: crc32c(value) };
    const version = await this.service.call<RawVersion>(
      'addSecretVersion',
      { parent: await this.name(id, signal), payload },
      signal,
    );
    if (!version.name) throw strange();
    return version;
  }

  /**
   * Like `add`, for the holder of the claim on this number, within the claim's time; after a lost response the version
   * is read back.
   */
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
        // The outcome stays unknown, as the first error says.
      }
      throw thrown;
    }
  }

  /**
   * Changes labels, annotations and expiry of a secret.
   * @throws SecretsError Conflict if the secret has changed since it was read
   */
  async update(
    secret: RawSecret,
    change: ReturnType<Change> & { readonly expireTime?: Date | null },
    signal: AbortSignal,
  ): Promise<RawSecret> {
    const { labels, annotations, expireTime } = change;
    const paths = ['labels', 'annotations', ...(expireTime === undefined ? [] : ['expire_time'])];
    // The name in a response contains the project's number; requests accept both.
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
   * A wrong etag is FAILED_PRECONDITION (https://cloud.google.com/secret-manager/docs/etags), but so are other errors:
   * reading the secret shows whether it was the etag. ABORTED, the code of AIP-154, is always a conflict.
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
      throw now?.etag === etag ? thrown : changedMeanwhile();
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
   * Compare-and-set. Adding a version takes no condition, but changing the secret does: so the writer first claims the
   * next version in an annotation, under the secret's etag, and then adds it. A second writer finds the claim and waits
   * until its version has arrived, or until an abandoned claim has expired.
   *
   * A writer that doesn't know about claims can still add a version between the two steps. Version numbers are
   * consecutive, so that is detected and reported.
   * @param expected the number of the newest version; 0 for none, also if there is no secret
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
      if (before === undefined && expected !== 0)
        throw new SecretsError('Conflict', 'not found', { hint: 'read it again and retry' });
      if (before?.annotations?.[NOTE.deleted] !== undefined) throw deletedInTheWay();
      const newest = before === undefined ? 0 : await this.newest(id, signal);
      if (newest !== expected) throw expected === 0 ? alreadyExists() : changedMeanwhile();
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

  /** Creates or changes the secret so that it contains the claim; `undefined` if somebody else was faster. */
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
  return new SecretsError('Unavailable', 'the response is not from Secret Manager' + IN_DOUBT, {
    hint: 'check the endpoint: secrets doctor',
  });
}
