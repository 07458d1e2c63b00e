/**
 * Key Vault's part in a rotation: it keeps an expiry date, and notifies Event Grid 30 days before (SecretNearExpiry).
 * It creates no versions, so there is nothing to start: `secrets` rotates, and sets the date.
 * https://learn.microsoft.com/azure/key-vault/general/event-grid-overview
 */
import { parsePeriod } from '../../core/duration.ts';
import { SecretsError } from '../../core/errors.ts';
import type { CallOptions } from '../call.ts';
import type { NativeChange, NativeRotations, NativeWish } from '../capabilities/rotation.ts';
import type { NativeRotation } from '../../core/rotation/native.ts';
import { reminderOf } from './values.ts';
import type { KeyVault } from './vault.ts';

interface Dates {
  readonly version: string;
  readonly has: Date | undefined;
  readonly wanted: Date;
}

export class AzureReminders implements NativeRotations {
  readonly #vault: KeyVault;
  readonly #nameOf: (name: string) => string;

  constructor(vault: KeyVault, nameOf: (name: string) => string) {
    this.#vault = vault;
    this.#nameOf = nameOf;
  }

  async read(name: string, { signal }: CallOptions): Promise<NativeRotation | undefined> {
    const { expiresOn, createdOn } = await this.#newest(name, signal);
    return expiresOn === undefined ? undefined : reminderOf(expiresOn, createdOn);
  }

  async plan(name: string, wish: NativeWish, { signal }: CallOptions): Promise<readonly NativeChange[]> {
    const { has, wanted } = await this.#dates(name, wish, signal);
    if (has?.getTime() === wanted.getTime()) return [];
    return [{ setting: 'expiry', from: has?.toISOString(), to: wanted.toISOString() }];
  }

  async set(name: string, wish: NativeWish, { signal }: CallOptions): Promise<void> {
    const { version, has, wanted } = await this.#dates(name, wish, signal);
    if (has?.getTime() === wanted.getTime()) return;
    // Monitoring that looks at the date would report an expired version as an outage.
    if (wanted.getTime() <= Date.now())
      throw new SecretsError('Invalid', `its version should have expired at ${wanted.toISOString()}`, {
        hint: 'rotate it: the new version gets its date then',
      });
    await this.#vault.update(this.#nameOf(name), version, { expiresOn: wanted }, signal);
  }

  /** @throws SecretsError Unsupported: the service can't remove a date */
  async remove(): Promise<void> {
    throw new SecretsError('Unsupported', 'azure can’t remove the expiry date of a version', {
      hint: 'write a new version without one: secrets put',
    });
  }

  async #dates(name: string, { settings, everyMs }: NativeWish, signal: AbortSignal): Promise<Dates> {
    const after = settings['after'] === undefined ? everyMs : parsePeriod(settings['after']);
    if (after === undefined)
      throw new SecretsError('Usage', 'the policy does not say when it expires', {
        hint: 'add every, or native.after',
      });
    const { version, createdOn, expiresOn } = await this.#newest(name, signal);
    if (version === undefined || createdOn === undefined)
      throw new SecretsError('Unavailable', 'the vault’s response has no version');
    return { version, has: expiresOn, wanted: new Date(createdOn.getTime() + after) };
  }

  async #newest(
    name: string,
    signal: AbortSignal,
  ): Promise<{
    readonly version?: string | undefined;
    readonly createdOn?: Date | undefined;
    readonly expiresOn?: Date | undefined;
  }> {
    const found = await this.#vault.newest(this.#nameOf(name), signal);
    if (found === undefined)
      throw new SecretsError('NotFound', 'not found', { hint: 'secrets list shows the names' });
    return found.properties;
  }
}
