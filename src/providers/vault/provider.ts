/**
 * Vault's KV secrets engine behind the provider interface.
 *
 * KV holds maps. A value that is a JSON object is kept as that map, so that `#key` and Vault's own clients see
 * its keys; any other text is kept under the single key `value`, and bytes that are not UTF-8 as base64 beside
 * `encoding: base64`.
 */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool, sleep } from '../../core/waiting.ts';
import type {
  CallOptions,
  Capability,
  Deletion,
  Finding,
  GetResult,
  Identity,
  ListQuery,
  Provider,
  ProviderRules,
  SecretInfo,
  SecretRequest,
  SecretVersion,
  SecretWrite,
  VersionInfo,
} from '../provider.ts';
import { asMap, type VaultClient } from './client.ts';
import { casOf, dateOf, decode, describeMetadata, encode, labelPatch, versionsOf } from './kv.ts';
import type { VaultSettings } from './settings.ts';

type Json = Readonly<Record<string, unknown>>;

const PARALLEL = 16;
/** Id of the one version that KV v1 has. */
const ONLY_VERSION = 'current';

/** A request is at most 32 MiB, an entry 1 MiB with integrated storage and 512 KiB with Consul. */
const RULES: ProviderRules = {
  maxNameLength: 512,
  nameRule: '1 to 512 characters, no control characters, no empty, . or .. segments, no * or + segment',
  maxValueBytes: 512 * 1024,
  emptyValue: true,
  structured: true,
};

export class VaultProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability>;
  readonly rules = RULES;
  readonly #client: VaultClient;
  readonly #mount: string;
  #version: Promise<1 | 2> | undefined;

  constructor(client: VaultClient, settings: VaultSettings) {
    this.#client = client;
    this.#mount = (settings.mount ?? 'secret').replaceAll(/^\/+|\/+$/g, '');
    const fixed = settings['kv-version'];
    if (fixed !== undefined) this.#version = Promise.resolve(fixed);
    this.capabilities = new Set<Capability>(fixed === 1 ? [] : ['versions', 'soft-delete', 'labels', 'cas']);
  }

  checkName(name: string): void {
    const bad =
      name.length === 0 ||
      name.length > RULES.maxNameLength ||
      /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u.test(name) ||
      name
        .split('/')
        .some((part) => part === '' || part === '.' || part === '..' || part === '+' || part === '*');
    if (bad) throw new SecretsError('Invalid', `vault takes names of ${RULES.nameRule}`);
  }

  async get(requests: readonly SecretRequest[], options: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(options.signal);
    const known = new Map<string, Promise<GetResult>>();
    const limit = pool(PARALLEL);
    return Promise.all(
      requests.map((request) => {
        const key = JSON.stringify([request.name, request.version, request.stage]);
        let result = known.get(key);
        if (result === undefined) {
          result = limit(() => this.#getOne(request, options)).then(
            (secret): GetResult => ({ ok: true, secret }),
            (thrown: unknown): GetResult => ({ ok: false, error: toSecretsError(thrown) }),
          );
          known.set(key, result);
        }
        return result;
      }),
    );
  }

  async #getOne({ name, version, stage }: SecretRequest, { signal }: CallOptions): Promise<SecretVersion> {
    this.checkName(name);
    if ((await this.#kv(signal)) === 1) {
      if (version !== undefined && version !== ONLY_VERSION) throw new SecretsError('NotFound', noVersions());
      if (stage !== undefined && stage !== 'current')
        throw new SecretsError('Unsupported', `KV version 1 has no ${stage} version`);
      const { found, body } = await this.#client.read(this.#path('', name), signal);
      if (!found) throw notFound();
      return {
        name,
        id: ONLY_VERSION,
        state: 'enabled',
        stages: ['current'],
        ...decode(asMap(body['data'])),
      };
    }
    let wanted = version;
    if (wanted !== undefined && !/^[1-9]\d{0,15}$/.test(wanted))
      throw new SecretsError('NotFound', `has no version ${wanted}`, {
        hint: 'versions are numbers: secrets history',
      });
    if (stage !== undefined && stage !== 'current') {
      const versions = versionsOf(await this.#metadata(name, signal));
      wanted = versions.find(({ stages }) => stages.includes(stage))?.id;
      if (wanted === undefined) throw new SecretsError('NotFound', `has no ${stage} version`);
    }
    const query = wanted === undefined ? '' : `?version=${wanted}`;
    const { found, body } = await this.#client.read(this.#path('data', name) + query, signal);
    const data = asMap(body['data']);
    const metadata = asMap(data['metadata']);
    if (!found || data['data'] === null || data['data'] === undefined) {
      if (metadata['destroyed'] === true) throw new SecretsError('NotFound', 'is destroyed');
      if (typeof metadata['deletion_time'] === 'string' && metadata['deletion_time'] !== '')
        throw new SecretsError('NotFound', 'is deleted', { hint: 'secrets restore brings it back' });
      throw wanted === undefined ? notFound() : new SecretsError('NotFound', `has no version ${wanted}`);
    }
    return {
      name,
      id: String(metadata['version']),
      state: 'enabled',
      stages: wanted === undefined ? ['current'] : stage === undefined ? [] : [stage],
      createdAt: dateOf(metadata['created_time']),
      ...decode(asMap(data['data'])),
    };
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    this.checkName(name);
    if (write.value.length > RULES.maxValueBytes) {
      throw new SecretsError(
        'Invalid',
        `the value has ${write.value.length} bytes; every Vault storage takes ${RULES.maxValueBytes}`,
      );
    }
    if (write.stage === 'pending') throw new SecretsError('Unsupported', 'vault has no pending versions');
    checkSignal(signal);
    const labels = labelPatch(write);
    const data = encode(write.value);
    if ((await this.#kv(signal)) === 1) {
      if (write.ifVersion !== undefined || write.ifAbsent === true)
        throw new SecretsError('Unsupported', 'KV version 1 has no compare-and-set', {
          hint: 'use a KV v2 mount',
        });
      if (labels !== undefined)
        throw new SecretsError('Unsupported', 'KV version 1 has no labels', { hint: 'use a KV v2 mount' });
      await this.#client.write(this.#path('', name), data, signal);
      return { id: ONLY_VERSION, state: 'enabled', stages: ['current'] };
    }
    const cas = casOf(write);
    const body = await this.#client.write(
      this.#path('data', name),
      { data, ...(cas !== undefined && { options: { cas } }) },
      signal,
    );
    const written = asMap(body['data']);
    const id = String(written['version']);
    if (labels !== undefined) {
      try {
        await this.#client.patch(this.#path('metadata', name), { custom_metadata: labels }, signal);
      } catch (thrown) {
        const error = toSecretsError(thrown);
        throw new SecretsError(error.kind, `version ${id} is written, its labels are not: ${error.message}`, {
          hint: error.hint,
          cause: thrown,
        });
      }
    }
    return { id, state: 'enabled', stages: ['current'], createdAt: dateOf(written['created_time']) };
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const version = await this.#kv(signal);
    const prefix = query.prefix ?? '';
    const limit = pool(PARALLEL);
    const folders = [prefix.slice(0, prefix.lastIndexOf('/') + 1)];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      const path = this.#path(version === 1 ? '' : 'metadata', folder).replace(/\/$/, '');
      const names: string[] = [];
      for (const key of await this.#client.keys(path, signal)) {
        const name = folder + key;
        if (key.endsWith('/')) {
          if (name.startsWith(prefix) || prefix.startsWith(name)) folders.push(name);
        } else if (name.startsWith(prefix)) {
          names.push(name);
        }
      }
      folders.sort((a, b) => (a < b ? 1 : -1));
      if (version === 1) {
        yield* names.map((name) => ({ name }));
        continue;
      }
      // Listing says nothing about deletion: each secret's metadata does.
      const infos = names.map((name) => limit(() => this.#listed(name, signal)));
      for (const pending of infos) pending.catch(() => undefined);
      for (const pending of infos) {
        const info = await pending;
        if (info !== undefined && (info.deletedAt === undefined || query.deleted === true)) yield info;
      }
    }
  }

  /** Facts for a list; just the name when a policy lets us list but not read metadata. */
  async #listed(name: string, signal: AbortSignal): Promise<SecretInfo | undefined> {
    try {
      return describeMetadata(name, await this.#metadata(name, signal));
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind === 'Denied') return { name };
      if (error.kind === 'NotFound') return undefined;
      throw error;
    }
  }

  async delete(name: string, _query: object, { signal }: CallOptions): Promise<Deletion> {
    this.checkName(name);
    if ((await this.#kv(signal)) === 1) {
      const { found } = await this.#client.read(this.#path('', name), signal);
      if (!found) throw notFound();
      await this.#client.delete(this.#path('', name), signal);
      return {};
    }
    if (describeMetadata(name, await this.#metadata(name, signal)).deletedAt !== undefined)
      throw new SecretsError('NotFound', 'is deleted already');
    await this.#client.delete(this.#path('data', name), signal);
    return {};
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    this.checkName(name);
    if ((await this.#kv(signal)) === 2) return describeMetadata(name, await this.#metadata(name, signal));
    const { found } = await this.#client.read(this.#path('', name), signal);
    if (!found) throw notFound();
    return { name };
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    this.checkName(name);
    await this.#needVersions(signal);
    yield* versionsOf(await this.#metadata(name, signal));
  }

  async makeCurrent(name: string, version: string, options: CallOptions): Promise<VersionInfo> {
    await this.#needVersions(options.signal);
    const metadata = await this.#metadata(name, options.signal);
    const current = String(metadata['current_version']);
    const old = await this.#getOne({ name, version }, options);
    return this.put(name, { value: old.value, ifVersion: current }, options);
  }

  async restore(name: string, { signal }: CallOptions): Promise<void> {
    this.checkName(name);
    await this.#needVersions(signal);
    const metadata = await this.#metadata(name, signal);
    const [newest] = versionsOf(metadata);
    if (newest?.state !== 'deleted') throw new SecretsError('NotFound', 'has nothing to restore');
    await this.#client.write(this.#path('undelete', name), { versions: [Number(newest.id)] }, signal);
  }

  async purge(name: string, version: string | undefined, { signal }: CallOptions): Promise<void> {
    this.checkName(name);
    if ((await this.#kv(signal)) === 1) {
      if (version !== undefined) throw new SecretsError('Unsupported', noVersions());
      await this.delete(name, {}, { signal });
      return;
    }
    const versions = versionsOf(await this.#metadata(name, signal));
    if (version === undefined) {
      await this.#client.delete(this.#path('metadata', name), signal);
      return;
    }
    const found = versions.find(({ id }) => id === version);
    if (found === undefined || found.state === 'destroyed')
      throw new SecretsError('NotFound', `has no version ${version}`);
    await this.#client.write(this.#path('destroy', name), { versions: [Number(version)] }, signal);
  }

  identity({ signal }: CallOptions): Promise<Identity> {
    return this.#client.identity(signal);
  }

  async diagnose({ signal }: CallOptions): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const look = async (check: string, work: () => Promise<string>): Promise<boolean> => {
      try {
        findings.push({ check, status: 'ok', detail: await work() });
        return true;
      } catch (thrown) {
        const error = toSecretsError(thrown);
        findings.push({ check, status: 'fail', detail: error.message, hint: error.hint });
        return false;
      }
    };
    const known = await look('credential', async () => {
      const { principal, source, details } = await this.#client.identity(signal);
      return `${principal} from ${source}, policies ${details?.['policies'] ?? ''}, expires ${details?.['expires'] ?? ''}`;
    });
    if (known)
      await look(
        'engine',
        async () => `${this.#mount} is KV version ${await this.#kv(signal)} at ${this.#client.address}`,
      );
    return findings;
  }

  /** Renews the token at two thirds of its life, for as long as the command runs. */
  async keepAlive(warn: (message: string) => void, signal: AbortSignal): Promise<void> {
    try {
      let ttl = await this.#client.renewableFor(signal);
      while (ttl !== undefined && ttl > 0 && !signal.aborted) {
        await sleep(Math.min((ttl * 2000) / 3, 2 ** 31 - 1), signal);
        if (signal.aborted) return;
        const renewed = await this.#client.renew(signal);
        // A token at its maximum life is renewed for less each time; it can't be kept longer.
        if (renewed < 1) break;
        ttl = renewed;
      }
    } catch (thrown) {
      if (!signal.aborted) warn(`the Vault token could not be renewed: ${toSecretsError(thrown).message}`);
    }
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }

  /**
   * The engine's version, asked once. Any token that may use something in the mount may ask.
   * Source: https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
   */
  #kv(signal: AbortSignal): Promise<1 | 2> {
    this.#version ??= this.#askVersion(signal).catch((thrown: unknown) => {
      this.#version = undefined;
      throw thrown;
    });
    return this.#version;
  }

  async #askVersion(signal: AbortSignal): Promise<1 | 2> {
    const { found, body } = await this.#client.read(
      `sys/internal/ui/mounts/${encodePath(this.#mount)}`,
      signal,
    );
    const data = asMap(body['data']);
    if (!found) throw new SecretsError('NotFound', `there is no engine at ${this.#mount}/`);
    if (data['type'] !== 'kv' && data['type'] !== 'generic')
      throw new SecretsError('Usage', `the engine at ${this.#mount}/ is ${String(data['type'])}, not kv`);
    return asMap(data['options'])['version'] === '2' ? 2 : 1;
  }

  async #needVersions(signal: AbortSignal): Promise<void> {
    if ((await this.#kv(signal)) === 1) throw new SecretsError('Unsupported', noVersions());
  }

  async #metadata(name: string, signal: AbortSignal): Promise<Json> {
    const { found, body } = await this.#client.read(this.#path('metadata', name), signal);
    if (!found) throw notFound();
    return asMap(body['data']);
  }

  #path(kind: '' | 'data' | 'metadata' | 'undelete' | 'destroy', name: string): string {
    return [encodePath(this.#mount), kind, encodePath(name)].filter((part) => part !== '').join('/');
  }
}

function checkSignal(signal: AbortSignal): void {
  if (signal.aborted)
    throw new SecretsError('Unavailable', 'stopped before the call', { cause: signal.reason as unknown });
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function notFound(): SecretsError {
  return new SecretsError('NotFound', 'is not there', { hint: 'secrets list shows the names' });
}

function noVersions(): string {
  return 'KV version 1 keeps no versions';
}
