/**
 * Audit devices write strings as HMACs with a salt of their own. To find known strings among them, this has Vault
 * itself compute their hashes. Source: https://developer.hashicorp.com/vault/api-docs/system/audit-hash
 */
import { toSecretsError } from '../../core/errors.ts';
import { version as ownVersion } from '../../core/version.ts';
import { textOf } from '../trail.ts';
import type { VaultClient } from './client.ts';
import { asMap } from './errors.ts';

const HASHED = 'hmac-sha256:';
/** The highest version number that is searched for among hashes. */
const MAX_HASHED_VERSION = 50;

/** Finds known strings among hashes by asking Vault for theirs; finds none without a device. */
export class Hashes {
  readonly #client: VaultClient;
  readonly #device: string | undefined;
  readonly #warn: (message: string) => void;
  readonly #signal: AbortSignal;
  #own: Promise<ReadonlySet<string>> | undefined;
  #agents: Promise<ReadonlyMap<string, string>> | undefined;
  #numbers: Promise<ReadonlyMap<string, string>> | undefined;
  #failed = false;

  constructor(of: {
    readonly client: VaultClient;
    readonly device: string | undefined;
    readonly warn: (message: string) => void;
    readonly signal: AbortSignal;
  }) {
    this.#client = of.client;
    this.#device = of.device;
    this.#warn = of.warn;
    this.#signal = of.signal;
  }

  /** Whether an accessor, hashed or not, belongs to our own token. */
  async isOwnToken(accessor: string | undefined): Promise<boolean> {
    if (accessor === undefined || this.#device === undefined) return false;
    this.#own ??= this.#known(async () => {
      const { body } = await this.#client.read('auth/token/lookup-self', this.#signal);
      const own = textOf(asMap(body['data'])['accessor']);
      return own === undefined ? new Set<string>() : new Set([own, await this.#hash(own)]);
    }, new Set<string>());
    return (await this.#own).has(accessor);
  }

  /** A version's number, which may be hashed; `undefined` if it can't be determined. */
  async number(text: string): Promise<string | undefined> {
    if (/^\d+$/.test(text)) return text;
    if (!text.startsWith(HASHED) || this.#device === undefined) return undefined;
    this.#numbers ??= this.#known(async () => {
      const numbers = Array.from({ length: MAX_HASHED_VERSION }, (_, at) => String(at + 1));
      return new Map(
        await Promise.all(numbers.map(async (number) => [await this.#hash(number), number] as const)),
      );
    }, new Map<string, string>());
    return (await this.#numbers).get(text);
  }

  /** The user agent; a hashed one only if it is our own. */
  async agent(text: string | undefined): Promise<string | undefined> {
    if (text === undefined || !text.startsWith(HASHED)) return text;
    if (this.#device === undefined) return undefined;
    this.#agents ??= this.#known(async () => {
      const own = `secrets/${ownVersion}`;
      return new Map([[await this.#hash(own), own]]);
    }, new Map<string, string>());
    return (await this.#agents).get(text);
  }

  /** If Vault can't be asked, the trail has less information but stays readable. */
  async #known<T>(work: () => Promise<T>, none: T): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!this.#failed)
        this.#warn(
          `Vault does not hash for the audit device ${this.#device}: own tokens and hashed versions are not recognised (${toSecretsError(thrown).message})`,
        );
      this.#failed = true;
      return none;
    }
  }

  async #hash(input: string): Promise<string> {
    const path = `sys/audit-hash/${(this.#device ?? '').split('/').map(encodeURIComponent).join('/')}`;
    const body = await this.#client.write(path, { input }, this.#signal);
    return textOf(asMap(body['data'])['hash']) ?? textOf(body['hash']) ?? '';
  }
}
