/** One KV mount: its version, its paths, and the few calls that several files use. */
import { SecretsError } from '../../core/errors.ts';
import { JsonDocument } from '../../core/document/document.ts';
import type { VaultClient } from './client.ts';
import { asMap, type Json, wantsCas } from './errors.ts';
import { requestIdOf } from './kv.ts';
import { documentOf } from './transport.ts';
import type { VaultSettings } from './settings.ts';

/** Maximum of attempts to write to a mount that requires `cas`; after that, other writers' changes are a conflict. */
const WRITE_ATTEMPTS = 8;

export class Engine {
  readonly client: VaultClient;
  readonly mount: string;
  #version: Promise<1 | 2> | undefined;
  #known: 1 | 2 | undefined;

  constructor(client: VaultClient, settings: VaultSettings) {
    this.client = client;
    this.mount = checkMount(settings.mount ?? 'secret');
    const fixed = settings['kv-version'];
    this.#known = fixed;
    if (fixed !== undefined) this.#version = Promise.resolve(fixed);
  }

  /** The engine's version, if it is configured or has been requested. */
  get knownVersion(): 1 | 2 | undefined {
    return this.#known;
  }

  /**
   * Requests the version before anything depends on it. A failure is kept: the caller has assumed that the store has
   * all capabilities, and a later success must not let it act on that. Never rejects, but every later call does.
   * @returns whether it succeeded
   */
  async prepare(signal: AbortSignal): Promise<boolean> {
    const asked = this.version(signal);
    try {
      await asked;
      return true;
    } catch {
      this.#version = asked;
      return false;
    }
  }

  /**
   * The engine's version, requested once. Any token with some right in the mount may request it. Source:
   * https://developer.hashicorp.com/vault/api-docs/system/internal-ui-mounts
   */
  version(signal: AbortSignal): Promise<1 | 2> {
    this.#version ??= this.#askVersion(signal).catch((thrown: unknown) => {
      this.#version = undefined;
      throw thrown;
    });
    return this.#version;
  }

  /** A path of the engine. KV v1 has no kinds, so `kind` is `''`. */
  path(kind: '' | 'data' | 'metadata' | 'undelete' | 'destroy', name: string): string {
    return [encodePath(this.mount), kind, encodePath(name)].filter((part) => part !== '').join('/');
  }

  /** A secret's metadata in KV v2; `undefined` if there is none. */
  async metadata(name: string, signal: AbortSignal): Promise<Json | undefined> {
    const { found, body } = await this.client.read(this.path('metadata', name), signal);
    return found ? asMap(body['data']) : undefined;
  }

  /** One version in KV v2: its metadata, and its data, which is `undefined` if it is deleted or missing. */
  async data(
    name: string,
    version: string | undefined,
    signal: AbortSignal,
  ): Promise<{ data: JsonDocument | undefined; metadata: Json; requestId: string | undefined }> {
    const query = version === undefined ? '' : `?version=${version}`;
    const { found, body } = await this.client.read(this.path('data', name) + query, signal);
    const { metadata } = asMap(body['data']);
    return {
      data: found ? mapIn(body, '/data/data') : undefined,
      metadata: asMap(metadata),
      requestId: requestIdOf(body).requestId,
    };
  }

  /**
   * Writes a version in KV v2 and returns its metadata with the request's id. Without `cas` it overwrites whatever is
   * there, even if the mount requires `cas` for every write.
   * @throws SecretsError Conflict if the current version is not `cas` (0: no version)
   */
  async write(name: string, data: JsonDocument, cas: number | undefined, signal: AbortSignal): Promise<Json> {
    const path = this.path('data', name);
    try {
      const options = cas === undefined ? {} : { options: { cas } };
      return metadataOf(await this.client.write(path, { data, ...options }, signal));
    } catch (thrown) {
      if (cas !== undefined || !wantsCas(thrown)) throw thrown;
    }
    for (let attempt = 1; ; attempt += 1) {
      const now = Number((await this.metadata(name, signal))?.['current_version'] ?? 0);
      try {
        return metadataOf(await this.client.write(path, { data, options: { cas: now } }, signal));
      } catch (thrown) {
        const lost = thrown instanceof SecretsError && thrown.kind === 'Conflict';
        if (!lost || attempt === WRITE_ATTEMPTS) throw thrown;
      }
    }
  }

  async #askVersion(signal: AbortSignal): Promise<1 | 2> {
    const { found, body } = await this.client.read(
      `sys/internal/ui/mounts/${encodePath(this.mount)}`,
      signal,
    );
    const data = asMap(body['data']);
    if (!found) throw new SecretsError('NotFound', `no engine at ${this.mount}/`);
    if (data['type'] !== 'kv' && data['type'] !== 'generic')
      throw new SecretsError('Usage', `the engine at ${this.mount}/ is ${String(data['type'])}, not kv`);
    this.#known = asMap(data['options'])['version'] === '2' ? 2 : 1;
    return this.#known;
  }
}

/**
 * The map at this place of a response, with its numbers as Vault sent them; undefined if there is none.
 * @throws SecretsError Unavailable for anything else
 */
export function mapIn(body: Json, pointer: '/data' | '/data/data'): JsonDocument | undefined {
  const answer = documentOf(body);
  const steps = pointer.slice(1).split('/');
  let parent: unknown = body;
  for (const step of steps) parent = asMap(parent)[step];
  if (parent === undefined || parent === null) return undefined;
  const map = JsonDocument.parse(answer.sourceOf(answer.select(pointer)));
  if (map.isObject) return map;
  throw new SecretsError('Unavailable', 'the response is not from Vault: its data is not a map');
}

function metadataOf(answer: Json): Json {
  return { ...asMap(answer['data']), request_id: answer['request_id'] ?? '' };
}

function checkMount(mount: string): string {
  const path = mount.replaceAll(/^\/+|\/+$/g, '');
  const bad = path.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (!bad && !/[\u0000-\u001f\u007f]/.test(path)) return path;
  throw new SecretsError('Usage', 'the mount is not the path of a KV engine', {
    hint: 'such as secret or team/kv',
  });
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
