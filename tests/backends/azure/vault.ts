/** One vault: its secrets, their states, and the rules that the service applies to them. In memory. */
import { randomBytes } from 'node:crypto';

/** An answer that is an error, as the service words it. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;

  constructor(status: number, code: string, message: string, inner?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.inner = inner;
  }
}

export interface VaultOptions {
  readonly name: string;
  /** The host name's end: vault.azure.net and its kin. */
  readonly suffix: string;
  readonly tenant: string;
  readonly retentionDays: number;
  readonly purgeProtection: boolean;
}

interface Attributes {
  enabled?: boolean;
  nbf?: number;
  exp?: number;
}

interface Version {
  readonly id: string;
  readonly value: string;
  readonly previous: string | undefined;
  readonly created: number;
  updated: number;
  attributes: Attributes;
  tags: Readonly<Record<string, string>> | undefined;
  contentType: string | undefined;
}

interface Secret {
  readonly name: string;
  readonly managed: boolean;
  readonly versions: Version[];
  deleted?: { readonly at: number; readonly purgeAt: number };
  /** Until then, in milliseconds, what was asked for last is under way. */
  busy?: { readonly until: number; readonly with: 'Deleted' | 'Recovered' };
}

export interface SetBody {
  readonly value: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly contentType?: string;
  readonly attributes?: Attributes;
}

type Json = Record<string, unknown>;

const DAY = 86_400;
const seconds = (): number => Math.floor(Date.now() / 1000);

export class Vault {
  readonly options: VaultOptions;
  /** Milliseconds that a deletion, a recovery or a purge takes. */
  slowness = 0;
  /** By name in lower case: the service does not tell cases apart. */
  readonly #secrets = new Map<string, Secret>();
  readonly #purging = new Map<string, number>();

  constructor(options: VaultOptions) {
    this.options = options;
  }

  get url(): string {
    return `https://${this.options.name}.${this.options.suffix}`;
  }

  /** As if a certificate had made it: the secret is there to read, and not to write. */
  addCertificateSecret(name: string): void {
    const version = this.#newVersion(undefined, {
      value: 'certificate',
      contentType: 'application/x-pkcs12',
    });
    this.#secrets.set(name.toLowerCase(), { name, managed: true, versions: [version] });
  }

  /** Every version's creation, moved by some seconds: for tests of old secrets. Forgets which came before which. */
  age(name: string, byVersion: readonly number[]): void {
    const secret = this.#secrets.get(name.toLowerCase());
    secret?.versions.forEach((version, index) => {
      secret.versions[index] = {
        ...version,
        created: version.created - (byVersion[index] ?? 0),
        previous: undefined,
      };
    });
  }

  set(name: string, body: SetBody): Json {
    checkName(name);
    const key = name.toLowerCase();
    const found = this.#secrets.get(key);
    this.#checkFree(name, found);
    checkBody(body);
    if (Buffer.byteLength(body.value) > 25_600)
      throw new Refusal(400, 'BadParameter', 'The value of the secret exceeds the limit of 25 KB.');
    if (found?.managed === true)
      throw new Refusal(
        403,
        'Forbidden',
        'The operation is not allowed on a secret that a certificate manages.',
      );
    const version = this.#newVersion(found?.versions.at(-1)?.id, body);
    const secret = found ?? { name, managed: false, versions: [] };
    secret.versions.push(version);
    this.#secrets.set(key, secret);
    return { ...this.#bundle(secret, version), value: version.value };
  }

  get(name: string, id: string): Json {
    checkName(name);
    const { secret, version } = this.#find(name, id);
    if (version.attributes.enabled === false)
      throw new Refusal(
        403,
        'Forbidden',
        'Operation get is not allowed on a disabled secret.',
        'SecretDisabled',
      );
    return { ...this.#bundle(secret, version), value: version.value };
  }

  update(name: string, id: string, body: Partial<SetBody>): Json {
    checkName(name);
    const { secret, version } = this.#find(name, id);
    checkBody(body);
    version.attributes = { ...version.attributes, ...body.attributes };
    version.tags = body.tags ?? version.tags;
    version.contentType = body.contentType ?? version.contentType;
    version.updated = seconds();
    return this.#bundle(secret, version);
  }

  delete(name: string): Json {
    checkName(name);
    const secret = this.#live(name);
    if (secret === undefined) throw notFound(name);
    const at = seconds();
    secret.deleted = { at, purgeAt: at + this.options.retentionDays * DAY };
    secret.busy = { until: Date.now() + this.slowness, with: 'Deleted' };
    return this.#deletedBundle(secret);
  }

  getDeleted(name: string): Json {
    checkName(name);
    return this.#deletedBundle(this.#deleted(name));
  }

  recover(name: string): Json {
    checkName(name);
    const secret = this.#deleted(name);
    delete secret.deleted;
    secret.busy = { until: Date.now() + this.slowness, with: 'Recovered' };
    return this.#bundle(secret, secret.versions.at(-1) as Version);
  }

  purge(name: string): void {
    checkName(name);
    this.#deleted(name);
    if (this.options.purgeProtection)
      throw new Refusal(
        403,
        'Forbidden',
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: ' +
          this.options.name,
        'ForbiddenByPolicy',
      );
    this.#secrets.delete(name.toLowerCase());
    this.#purging.set(name.toLowerCase(), Date.now() + this.slowness);
  }

  /** One page, from after `from`; `next` is where the following one starts. */
  list(kind: 'live' | 'deleted', from: string, size: number): { value: Json[]; next: string | undefined } {
    const names = [...this.#secrets.keys()].toSorted().filter((key) => {
      const secret = this.#secrets.get(key) as Secret;
      const wanted = (secret.deleted !== undefined) === (kind === 'deleted');
      return wanted && !isBusy(secret) && key > from;
    });
    const shown = names.slice(0, size);
    const value = shown.map((key) => {
      const secret = this.#secrets.get(key) as Secret;
      const item = { ...this.#item(secret, secret.versions.at(-1) as Version), id: this.#id(secret) };
      return kind === 'live' ? item : { ...item, ...this.#deletion(secret) };
    });
    return { value, next: names.length > size ? shown.at(-1) : undefined };
  }

  /** None for a secret that is not there, as the service does. Oldest and newest in no order worth trusting. */
  versions(name: string, from: string, size: number): { value: Json[]; next: string | undefined } {
    checkName(name);
    const secret = this.#live(name);
    const sorted = (secret?.versions ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const rest = sorted.filter(({ id }) => id > from);
    const shown = rest.slice(0, size);
    const value = shown.map((version) => this.#item(secret as Secret, version));
    return { value, next: rest.length > size ? shown.at(-1)?.id : undefined };
  }

  #live(name: string): Secret | undefined {
    const secret = this.#secrets.get(name.toLowerCase());
    if (secret === undefined || secret.deleted !== undefined) return undefined;
    return secret.busy?.with === 'Recovered' && isBusy(secret) ? undefined : secret;
  }

  #deleted(name: string): Secret {
    const secret = this.#secrets.get(name.toLowerCase());
    if (secret?.deleted === undefined || isBusy(secret))
      throw new Refusal(404, 'SecretNotFound', `Deleted Secret not found: ${name}`);
    return secret;
  }

  #checkFree(name: string, found: Secret | undefined): void {
    const busy = found !== undefined && isBusy(found) ? found.busy?.with : undefined;
    if (busy !== undefined || (this.#purging.get(name.toLowerCase()) ?? 0) > Date.now())
      throw new Refusal(
        409,
        'Conflict',
        `Secret ${name} is currently being ${(busy ?? 'Deleted').toLowerCase()}.`,
        `ObjectIsBeing${busy ?? 'Deleted'}`,
      );
    if (found?.deleted !== undefined)
      throw new Refusal(
        409,
        'Conflict',
        `Secret ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.`,
        'ObjectIsDeletedButRecoverable',
      );
  }

  #find(name: string, id: string): { secret: Secret; version: Version } {
    const secret = this.#live(name);
    const version = id === '' ? secret?.versions.at(-1) : secret?.versions.find((one) => one.id === id);
    if (secret === undefined || version === undefined) throw notFound(id === '' ? name : `${name}/${id}`);
    return { secret, version };
  }

  #newVersion(previous: string | undefined, body: SetBody): Version {
    const now = seconds();
    return {
      id: randomBytes(16).toString('hex'),
      value: body.value,
      previous,
      created: now,
      updated: now,
      attributes: { enabled: true, ...body.attributes },
      tags: body.tags,
      contentType: body.contentType,
    };
  }

  #id(secret: Secret, version?: Version): string {
    return `${this.url}/secrets/${secret.name}${version === undefined ? '' : `/${version.id}`}`;
  }

  #item(secret: Secret, version: Version): Json {
    const { purgeProtection, retentionDays } = this.options;
    const level = `${retentionDays < 90 ? 'Customized' : ''}Recoverable${purgeProtection ? '' : '+Purgeable'}`;
    return {
      id: this.#id(secret, version),
      attributes: {
        ...version.attributes,
        created: version.created,
        updated: version.updated,
        recoveryLevel: level,
        recoverableDays: retentionDays,
      },
      ...(version.tags !== undefined && { tags: version.tags }),
      ...(version.contentType !== undefined && { contentType: version.contentType }),
      ...(secret.managed && { managed: true }),
    };
  }

  #bundle(secret: Secret, version: Version): Json {
    return {
      ...this.#item(secret, version),
      ...(version.previous !== undefined && { previousVersion: version.previous }),
    };
  }

  #deletion(secret: Secret): Json {
    const { at, purgeAt } = secret.deleted as NonNullable<Secret['deleted']>;
    return {
      recoveryId: `${this.url}/deletedsecrets/${secret.name}`,
      deletedDate: at,
      scheduledPurgeDate: purgeAt,
    };
  }

  #deletedBundle(secret: Secret): Json {
    return { ...this.#bundle(secret, secret.versions.at(-1) as Version), ...this.#deletion(secret) };
  }
}

function isBusy(secret: Secret): boolean {
  return (secret.busy?.until ?? 0) > Date.now();
}

function notFound(name: string): Refusal {
  return new Refusal(
    404,
    'SecretNotFound',
    `A secret with (name/id) ${name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command.`,
  );
}

function checkName(name: string): void {
  if (!/^[0-9a-zA-Z-]{1,127}$/.test(name))
    throw new Refusal(400, 'BadParameter', `The request URI contains an invalid name: ${name}`);
}

function checkBody({ tags = {}, contentType = '', attributes = {} }: Partial<SetBody>): void {
  const entries = Object.entries(tags);
  const bad = (what: string): Refusal => new Refusal(400, 'BadParameter', what);
  if (entries.length > 15) throw bad('A secret may have at most 15 tags.');
  if (entries.some(([key, value]) => key.length > 256 || value.length > 256))
    throw bad('A tag may have at most 256 characters in its name and in its value.');
  if (contentType.length > 255) throw bad('The content type may have at most 255 characters.');
  const { nbf, exp } = attributes;
  if (nbf !== undefined && exp !== undefined && exp <= nbf) throw bad('exp must be later than nbf.');
}
