/**
 * Pending values. Conjur has no stages: by default, clients read a variable's newest value. A pending value is kept in
 * a separate variable with a suffix, which is removed when the value is promoted or discarded.
 *
 * The sibling's annotation records which version was current when the value was stored: if the response to a
 * promotion's write is lost, the next attempt finds the value among the newer versions and doesn't write it again.
 */
import { randomBytes } from 'node:crypto';
import { SecretsError } from '../../core/errors.ts';
import type { VersionInfo } from '../../core/secret.ts';
import type { ConjurClient } from './client.ts';
import type { Variable } from './variable.ts';

export const PENDING_SUFFIX = '.secrets-pending';
export const PENDING_ID = 'pending:';
const BASE = 'secrets/pending-since-version';
/** Different for each writer: Conjur creates no version for an unchanged value, and of two writers one has to lose. */
const NONCE = 'secrets/pending-nonce';

export const siblingOf = (name: string): string => name + PENDING_SUFFIX;

/**
 * The id of a sibling's value. The versions of a new sibling start at 1 again, so its creation time is part of the id:
 * yesterday's pending id never refers to today's value. The writer's nonce is another part.
 */
export function pendingId(sibling: Variable, nonce = sibling.annotations[NONCE]): string | undefined {
  const [newest] = sibling.versions;
  const birth = (sibling.createdAt?.getTime() ?? 0).toString(36);
  return newest === undefined
    ? undefined
    : `${PENDING_ID}${newest.number}-${birth}${nonce === undefined ? '' : `-${nonce}`}`;
}

export function pendingInfo(sibling: Variable, nonce?: string): VersionInfo | undefined {
  const id = pendingId(sibling, nonce);
  return id === undefined ? undefined : { id, state: 'enabled', stages: ['pending'] };
}

/** The policy that declares a variable or will declare it, and the form of a name in that policy. */
export type PlaceOf = (
  name: string,
  there: Variable | undefined,
) => { readonly branch: string; readonly id: (name: string) => string };

export class Pending {
  readonly #client: ConjurClient;
  readonly #place: PlaceOf;

  constructor(client: ConjurClient, place: PlaceOf) {
    this.#client = client;
    this.#place = place;
  }

  /** The sibling with a value; @throws SecretsError NotFound if there is none, or `id` refers to an older value */
  async find(name: string, id: string | undefined, signal: AbortSignal): Promise<Variable> {
    const sibling = await this.#client.variable(siblingOf(name), signal);
    const there = sibling === undefined ? undefined : pendingId(sibling);
    if (sibling === undefined || there === undefined || (id !== undefined && id !== there))
      throw new SecretsError(
        'NotFound',
        id === undefined ? 'has no pending version' : `has no version ${id}`,
        {
          hint: 'secrets history shows the versions',
        },
      );
    return sibling;
  }

  async read(sibling: Variable, signal: AbortSignal): Promise<Buffer> {
    const [newest] = sibling.versions;
    const value =
      newest === undefined ? undefined : await this.#client.value(sibling.name, newest.number, signal);
    if (value === undefined) throw new SecretsError('NotFound', 'has no pending version');
    return value;
  }

  /** Stores a value in the sibling, replacing an older pending one. */
  async put(name: string, value: Uint8Array, signal: AbortSignal): Promise<VersionInfo> {
    const main = await this.#client.variable(name, signal);
    const { branch, id } = this.#place(name, main);
    const nonce = randomBytes(6).toString('hex');
    const annotations = { [BASE]: String(main?.versions[0]?.number ?? 0), [NONCE]: nonce };
    await this.#client.load(branch, [{ declare: id(siblingOf(name)), annotations }], signal);
    await this.#client.add(siblingOf(name), value, signal);
    // With this writer's nonce: if another writer's is stored by now, the id refers to nothing that is pending.
    const info = pendingInfo(await this.find(name, undefined, signal), nonce);
    if (info === undefined) throw new SecretsError('NotFound', 'has no pending version');
    return info;
  }

  /**
   * Makes the pending value the newest of the variable, then removes the sibling. Can be repeated after a failure in
   * between.
   * @param write adds the value to the variable, creating the variable if necessary
   */
  async promote(
    name: string,
    id: string,
    write: (value: Uint8Array) => Promise<VersionInfo>,
    signal: AbortSignal,
  ): Promise<VersionInfo> {
    const sibling = await this.find(name, id, signal);
    const value = await this.read(sibling, signal);
    const since = Number(sibling.annotations[BASE] ?? 0);
    const main = await this.#client.variable(name, signal);
    const newer = main?.versions.filter(({ number }) => number > since) ?? [];
    let done: VersionInfo | undefined;
    for (const { number } of newer)
      if ((await this.#client.value(name, number, signal))?.equals(value) === true) {
        done = {
          id: String(number),
          state: 'enabled',
          stages: number === newer[0]?.number ? ['current'] : [],
        };
        break;
      }
    done ??= await write(value);
    await this.discard(sibling, signal);
    return done;
  }

  async discard(sibling: Variable, signal: AbortSignal): Promise<void> {
    const { branch, id } = this.#place(sibling.name, sibling);
    await this.#client.load(branch, [{ remove: id(sibling.name) }], signal);
  }
}
