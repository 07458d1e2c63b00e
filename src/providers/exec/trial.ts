/** The tools of a conformance check: a running plugin, names and values of its own, expectations. */
import { randomBytes } from 'node:crypto';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { CallOptions } from '../call.ts';
import type { Capability, SecretRequest, SecretWrite } from '../provider.ts';
import type { SecretVersion, VersionInfo } from '../../core/secret.ts';
import { HIDDEN } from './connection.ts';
import type { ExecProvider } from './provider.ts';

/** A check found a violation of the protocol or the contract. */
export class CheckError extends Error {}

export interface Check {
  readonly name: string;
  /** Only for plugins that declare all of these. */
  readonly needs?: readonly Capability[];
  run(trial: Trial): Promise<void>;
}

/** The time limit for one call of a check, in milliseconds. */
const CALL_MS = 10_000;

export class Trial {
  /** Every name that was or may have been written. */
  readonly names = new Set<string>();
  /** Every value that was sent, to search for where none may appear. */
  readonly values: Uint8Array[] = [];
  readonly prefix = `conformance-${randomBytes(6).toString('hex')}-`;
  readonly #outer: AbortSignal;
  #provider: ExecProvider | undefined;
  #count = 0;

  constructor(outer: AbortSignal) {
    this.#outer = outer;
  }

  get provider(): ExecProvider {
    if (this.#provider === undefined) throw new CheckError('the plugin does not run');
    return this.#provider;
  }

  set provider(provider: ExecProvider | undefined) {
    this.#provider = provider;
  }

  fresh(): string {
    this.#count += 1;
    return `${this.prefix}${this.#count}`;
  }

  /** A unique value. */
  text(): string {
    return `mark-${randomBytes(12).toString('hex')}`;
  }

  /** Options with a time limit for one call. */
  call(ms = CALL_MS): CallOptions {
    return { signal: AbortSignal.any([AbortSignal.timeout(ms), this.#outer]), deadline: Date.now() + ms };
  }

  put(name: string, value: string | Uint8Array, more: Omit<SecretWrite, 'value'> = {}): Promise<VersionInfo> {
    const bytes = this.note(name, value);
    return this.provider.put(name, { value: bytes, ...more }, this.call());
  }

  note(name: string, value: string | Uint8Array): Uint8Array {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value;
    this.names.add(name);
    if (bytes.length >= 8) this.values.push(bytes);
    return bytes;
  }

  async read(request: SecretRequest): Promise<SecretVersion> {
    const [result] = await this.provider.get([request], this.call());
    if (result === undefined) throw new CheckError('get gave no answer');
    if (!result.ok) throw result.error;
    return result.secret;
  }

  async textOf(request: SecretRequest): Promise<string> {
    return Buffer.from((await this.read(request)).value).toString();
  }

  /** Sends a request that bypasses all of this program's checks. */
  raw(
    method: string,
    params: Readonly<Record<string, unknown>>,
    options: Partial<CallOptions> & { readonly sentDeadline?: number; readonly value?: Uint8Array } = {},
  ): Promise<unknown> {
    const onItem =
      method === 'get' || method === 'list' || method === 'history' ? { onItem: () => undefined } : {};
    return this.provider.connection.raw(method, params, { ...this.call(), ...onItem, ...options });
  }
}

export function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new CheckError(otherwise);
}

/** Expects the call to fail with one of these kinds. @returns the error */
export async function expectKind(
  work: Promise<unknown>,
  kinds: readonly SecretsError['kind'][],
  what: string,
): Promise<SecretsError> {
  let found: SecretsError;
  try {
    await work;
  } catch (thrown) {
    found = toSecretsError(thrown);
    expect(!found.message.includes(HIDDEN), `${what}: the error's message holds the value`);
    if (kinds.includes(found.kind)) return found;
    throw new CheckError(`${what}: ${found.kind} (${found.message}), not ${kinds.join(' or ')}`);
  }
  throw new CheckError(`${what}: no error, not ${kinds.join(' or ')}`);
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
