/** Azure Key Vault behind the provider interface. */
// Over 400 lines because a single class implements every method of the interface.
/* oxlint-disable max-lines */
import type { SecretProperties } from '@azure/keyvault-secrets';
import type { AuditEvent } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { Action, Right } from '../capabilities/rights.ts';
import type { CallOptions } from '../call.ts';
import type {
  Capability,
  DeleteQuery,
  Deletion,
  Finding,
  GetResult,
  Identity,
  KnownIdentity,
  ListQuery,
  Provider,
  ProviderRules,
  SecretRequest,
  SecretWrite,
} from '../provider.ts';
import type { LabelChanges } from '../capabilities/labels.ts';
import type { NativeRotations } from '../capabilities/rotation.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { SecretInfo, SecretVersion, VersionInfo } from '../../core/secret.ts';
import type { TrailQuery } from '../capabilities/trail.ts';
import { checkSignal, readEach } from '../reading.ts';
import { azureVault, CLOUDS } from './clouds.ts';
import { isKind, isRefusal } from './errors.ts';
import { isSibling, mappedNames, type Names, plainNames } from './names.ts';
import { Pending, pendingId, pendingInfo } from './pending.ts';
import type { AzureService } from './service.ts';
import type { AzureSettings } from './settings.ts';
import {
  checkDescription,
  checkTags,
  decodeValue,
  encodeValue,
  infoOf,
  labelsOf,
  mergeLabels,
  reminderOf,
  RULES,
} from './values.ts';
import { byAge, checkPurgeable, KeyVault } from './vault.ts';

const PARALLEL = 8;
/** Tokens become invalid when clocks differ by more than this. */
const SKEW_MS = 5 * 60_000;

export class AzureProvider implements Provider {
  readonly capabilities: ReadonlySet<Capability> = new Set<Capability>([
    'versions',
    'stages',
    'soft-delete',
    'labels',
    'trail',
    'native-rotation',
  ]);
  readonly rules: ProviderRules;
  readonly #service: AzureService;
  readonly #vault: KeyVault;
  readonly #pending: Pending;
  readonly #names: Names;
  readonly #context: ProviderContext;
  readonly #settings: AzureSettings;

  constructor(service: AzureService, settings: AzureSettings, context: ProviderContext) {
    this.#service = service;
    this.#context = context;
    this.#settings = settings;
    this.#names = settings.names === 'mapped' ? mappedNames : plainNames;
    this.rules = { ...RULES, nameRule: this.#names.rule };
    this.#vault = new KeyVault(service, (message) => {
      context.debug(message);
      context.progress?.(message);
    });
    this.#pending = new Pending(this.#vault, context.warn);
  }

  checkName(name: string): void {
    this.#names.toAzure(name);
  }

  async get(requests: readonly SecretRequest[], { signal }: CallOptions): Promise<readonly GetResult[]> {
    checkSignal(signal);
    return readEach(requests, PARALLEL, (request) => this.#getOne(request, signal));
  }

  async #getOne({ name, version, stage }: SecretRequest, signal: AbortSignal): Promise<SecretVersion> {
    const azureName = this.#names.toAzure(name);
    const pending = version === undefined ? undefined : pendingId(version);
    if (stage === 'pending' || pending !== undefined) {
      const found = await this.#pending.find(azureName, signal);
      if (found === undefined || (pending !== undefined && found.properties.version !== pending))
        throw new SecretsError(
          'NotFound',
          pending === undefined ? 'has no pending version' : `has no pending version ${pending}`,
          { hint: 'secrets history shows the versions' },
        );
      const { properties, value } = found;
      return { name, ...pendingInfo(properties, this.#now()), value: decodeValue(value, properties.tags) };
    }
    if (stage === 'previous')
      return this.#read(name, await this.#previousId(azureName, signal), [stage], signal);
    if (stage !== undefined && stage !== 'current')
      throw new SecretsError('NotFound', `has no stage ${stage}`, {
        hint: 'azure has current, previous and pending',
      });
    return this.#read(name, version, version === undefined ? ['current'] : [], signal);
  }

  async #read(
    name: string,
    version: string | undefined,
    stages: readonly string[],
    signal: AbortSignal,
  ): Promise<SecretVersion> {
    const missing = (cause?: unknown): SecretsError =>
      new SecretsError('NotFound', `not found, or has no version ${version}`, {
        hint: 'secrets history shows them',
        cause,
      });
    if (version !== undefined && !/^[0-9a-fA-F]{32}$/.test(version)) throw missing();
    try {
      const { properties, value, requestId } = await this.#vault.get(
        this.#names.toAzure(name),
        version,
        signal,
      );
      return {
        name,
        ...infoOf(properties, stages, this.#now()),
        ...(requestId !== undefined && { requestId }),
        value: decodeValue(value, properties.tags),
      };
    } catch (thrown) {
      if (version !== undefined && isKind(thrown, 'NotFound')) throw missing(thrown);
      throw thrown;
    }
  }

  /**
   * The id of the version before the newest one. Versions written before June 2025 don't record it; for them the age
   * decides.
   */
  async #previousId(azureName: string, signal: AbortSignal): Promise<string> {
    const newest = await this.#vault.newest(azureName, signal);
    if (newest === undefined) throw notThere();
    let id = newest.properties.previousVersion;
    if (!id) {
      const ordered = await this.#ordered(azureName, signal);
      id = ordered[1]?.version;
    }
    if (!id) throw new SecretsError('NotFound', 'has no previous version');
    return id;
  }

  async put(name: string, write: SecretWrite, { signal }: CallOptions): Promise<VersionInfo> {
    const azureName = this.#names.toAzure(name);
    if (write.ifVersion !== undefined || write.ifAbsent === true)
      throw new SecretsError('Unsupported', 'azure has no conditional write', {
        hint: 'read it, and write without the condition',
      });
    checkSignal(signal);
    if (write.stage === 'pending') {
      encodeValue(write.value);
      return pendingInfo(await this.#pending.put(azureName, write, signal), this.#now());
    }
    const { text, tags } = encodeValue(write.value);
    checkDescription(write.description);
    mergeLabels({}, write.labels);
    // A new version inherits nothing from the previous one, so everything is sent with it.
    let before: SecretProperties | undefined;
    let unread = false;
    try {
      before = (await this.#vault.newest(azureName, signal))?.properties;
    } catch (thrown) {
      if (!isKind(thrown, 'Denied')) throw thrown;
      unread = true;
    }
    if (before?.managed === true)
      throw new SecretsError('Invalid', 'belongs to a certificate, which writes it', {
        hint: 'az keyvault certificate',
      });
    const contentType = write.description ?? before?.contentType;
    const { properties, requestId } = await this.#vault.set(
      azureName,
      text,
      {
        tags: checkTags({ ...mergeLabels(labelsOf(before?.tags), write.labels), ...tags }),
        ...(contentType !== undefined && { contentType }),
        ...(write.expiresAt !== undefined && { expiresOn: write.expiresAt }),
      },
      signal,
    );
    if (unread)
      this.#context.warn(
        'the labels of the previous version could not be read; the new version has only the given ones',
      );
    return {
      ...infoOf(properties, ['current'], this.#now()),
      ...(requestId !== undefined && { requestId }),
    };
  }

  async *list(query: ListQuery, { signal }: CallOptions): AsyncIterable<SecretInfo> {
    checkSignal(signal);
    const prefix = query.prefix ?? '';
    let unmapped = 0;
    const nameOf = (azureName: string): string | undefined => {
      if (isSibling(azureName)) return undefined;
      const name = this.#names.fromAzure(azureName);
      if (name === undefined) unmapped += 1;
      return name?.startsWith(prefix) === true ? name : undefined;
    };
    for await (const page of this.#vault.list(signal))
      for (const properties of page) {
        const name = nameOf(properties.name);
        if (name !== undefined) yield this.#info(name, properties);
      }
    if (query.deleted === true)
      for await (const page of this.#vault.listDeleted(signal))
        for (const { name: azureName, properties, deletedOn, scheduledPurgeDate } of page) {
          const name = nameOf(azureName);
          if (name !== undefined)
            yield { ...this.#info(name, properties), deletedAt: deletedOn, purgeAt: scheduledPurgeDate };
        }
    if (unmapped > 0)
      this.#context.warn(
        `${unmapped} names in the vault don’t follow the mapping; use the URLs of those secrets`,
      );
  }

  async delete(name: string, { windowDays }: DeleteQuery, { signal }: CallOptions): Promise<Deletion> {
    const azureName = this.#names.toAzure(name);
    const newest = await this.#vault.newest(azureName, signal);
    if (newest === undefined) {
      const deleted = await this.#vault.deleted(azureName, signal);
      throw deleted === undefined ? notThere() : new SecretsError('NotFound', 'is already deleted');
    }
    const days = newest.properties.recoverableDays;
    if (windowDays !== undefined && windowDays !== days)
      throw new SecretsError(
        'Invalid',
        `the vault keeps deleted secrets for ${days ?? 'a fixed number of'} days`,
        {
          hint: 'omit --window; the retention is a setting of the vault',
        },
      );
    return this.#delete(azureName, signal);
  }

  /** The pending version first: if the second deletion fails, a complete secret without a pending version remains. */
  async #delete(azureName: string, signal: AbortSignal): Promise<Deletion> {
    await this.#pending.delete(azureName, signal);
    const { scheduledPurgeDate } = await this.#vault.delete(azureName, signal);
    return { recoverableUntil: scheduledPurgeDate };
  }

  async describe(name: string, { signal }: CallOptions): Promise<SecretInfo> {
    const azureName = this.#names.toAzure(name);
    const newest = await this.#vault.newest(azureName, signal);
    if (newest !== undefined) return this.#info(name, newest.properties);
    const deleted = await this.#vault.deleted(azureName, signal);
    if (deleted === undefined) throw notThere();
    const { properties, deletedOn, scheduledPurgeDate } = deleted;
    return { ...this.#info(name, properties), deletedAt: deletedOn, purgeAt: scheduledPurgeDate };
  }

  async *history(name: string, { signal }: CallOptions): AsyncIterable<VersionInfo> {
    const azureName = this.#names.toAzure(name);
    const ordered = await this.#ordered(azureName, signal);
    const pending = await this.#pending.find(azureName, signal);
    if (pending !== undefined) yield pendingInfo(pending.properties, this.#now());
    else if (ordered.length === 0) throw notThere();
    for (const [index, properties] of ordered.entries())
      yield infoOf(properties, index === 0 ? ['current'] : index === 1 ? ['previous'] : [], this.#now());
  }

  /**
   * Versions, newest first. The service's times have whole seconds; versions of the same second are ordered by their
   * record of the previous version, if they have one.
   */
  async #ordered(azureName: string, signal: AbortSignal): Promise<SecretProperties[]> {
    const rest = byAge(await this.#vault.versions(azureName, signal));
    const time = (index: number): number | undefined => rest[index]?.createdOn?.getTime();
    const ordered: SecretProperties[] = [];
    let before: string | undefined;
    try {
      while (rest.length > 1) {
        let index = 0;
        if (time(0) === time(1)) {
          const last = ordered.at(-1);
          if (before === undefined)
            before =
              last === undefined
                ? (await this.#vault.get(azureName, undefined, signal)).properties.version
                : (await this.#vault.get(azureName, last.version, signal)).properties.previousVersion;
          const named = rest.findIndex(({ version }) => version === before);
          if (named !== -1 && time(named) === time(0)) index = named;
        }
        ordered.push(...rest.splice(index, 1));
        before = undefined;
      }
    } catch (thrown) {
      // A disabled or unreadable version doesn't reveal the version before it.
      if (!isRefusal(thrown, 'disabled') && !isKind(thrown, 'Denied') && !isKind(thrown, 'NotFound'))
        throw thrown;
    }
    return [...ordered, ...rest];
  }

  async makeCurrent(name: string, version: string, { signal }: CallOptions): Promise<VersionInfo> {
    const azureName = this.#names.toAzure(name);
    const pending = pendingId(version);
    if (pending !== undefined) {
      const { properties, current } = await this.#pending.promote(azureName, pending, signal);
      return infoOf(properties, current ? ['current'] : [], this.#now());
    }
    const newest = await this.#vault.newest(azureName, signal);
    if (newest === undefined) throw notThere();
    if (newest.properties.version === version) {
      if (newest.value === undefined) throw new SecretsError('Invalid', 'is disabled');
      return infoOf(newest.properties, ['current'], this.#now());
    }
    const old = await this.#read(name, version, [], signal);
    return this.put(name, { value: old.value }, { signal });
  }

  async restore(name: string, { signal }: CallOptions): Promise<void> {
    const azureName = this.#names.toAzure(name);
    try {
      await this.#vault.recover(azureName, signal);
    } catch (thrown) {
      if (isKind(thrown, 'NotFound'))
        throw new SecretsError('NotFound', 'has nothing to restore', { cause: thrown });
      throw thrown;
    }
    await this.#pending.restore(azureName, signal);
  }

  async purge(name: string, version: string | undefined, { signal }: CallOptions): Promise<void> {
    const azureName = this.#names.toAzure(name);
    const pending = version === undefined ? undefined : pendingId(version);
    if (pending !== undefined) {
      await this.#pending.discard(azureName, pending, signal);
      return;
    }
    if (version !== undefined)
      throw new SecretsError('Unsupported', 'azure can’t purge a single version', {
        hint: 'az keyvault secret set-attributes --enabled false makes it unreadable',
      });
    const newest = await this.#vault.newest(azureName, signal);
    if (newest !== undefined) {
      // Checked before anything is deleted: a purge that isn't possible must not leave a soft-deleted secret.
      checkPurgeable(newest.properties.recoveryLevel);
      await this.#delete(azureName, signal);
    }
    const deleted = await this.#vault.deleted(azureName, signal);
    if (deleted === undefined) throw notThere();
    if (newest === undefined) await this.#pending.delete(azureName, signal);
    try {
      await this.#vault.purge(deleted, signal);
    } catch (thrown) {
      if (newest === undefined || !(thrown instanceof SecretsError)) throw thrown;
      throw new SecretsError(thrown.kind, `is deleted and not purged: ${thrown.message}`, {
        hint: 'secrets restore undoes that',
        cause: thrown,
      });
    }
    await this.#pending.purge(azureName, signal);
  }

  /**
   * Tags belong to a version: those of the current version are the secret's labels, and each new version copies them.
   */
  async setLabels(name: string, labels: LabelChanges, { signal }: CallOptions): Promise<void> {
    const azureName = this.#names.toAzure(name);
    mergeLabels({}, labels);
    const newest = await this.#vault.newest(azureName, signal);
    const { version, tags = {} } = newest?.properties ?? {};
    if (version === undefined) throw notThere();
    const own = Object.entries(tags).filter(([key]) => !Object.hasOwn(labelsOf(tags), key));
    const after = checkTags({ ...mergeLabels(labelsOf(tags), labels), ...Object.fromEntries(own) });
    await this.#vault.update(azureName, version, { tags: after }, signal);
  }

  /** The data plane has no such call; Azure's resource manager may have one, with another address and token. */
  async checkRights(_name: string, actions: readonly Action[]): Promise<readonly Right[]> {
    const why = 'Key Vault does not say what a caller may do: look at the vault’s role assignments';
    return actions.map((action) => ({ action, verdict: 'unknown', why }));
  }

  async nativeId(name: string): Promise<string> {
    return `${this.#service.vaultUrl}/secrets/${this.#names.toAzure(name)}`.toLowerCase();
  }

  identity({ signal }: CallOptions): Promise<Identity> {
    return this.#service.identity(signal);
  }

  knownIdentity(): KnownIdentity | undefined {
    return this.#service.knownIdentity();
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
      const { principal, source } = await this.#service.identity(signal);
      return `${principal} from ${source}`;
    });
    if (!known) return findings;
    let first: SecretProperties | undefined;
    await look('vault', async () => {
      for await (const page of this.#vault.list(signal)) {
        [first] = page;
        break;
      }
      return `secrets in ${this.#service.vaultUrl} can be listed`;
    });
    const skew = await this.#service.clockSkew();
    if (skew !== undefined && Math.abs(skew) > SKEW_MS)
      findings.push({
        check: 'clock',
        status: 'warn',
        detail: `this machine’s clock is ${Math.round(Math.abs(skew) / 60_000)} minutes ${skew > 0 ? 'behind' : 'ahead of'} the vault’s`,
        hint: 'tokens seem expired, or not valid yet: set the clock',
      });
    const { recoveryLevel, recoverableDays } = first ?? {};
    if (recoveryLevel !== undefined) {
      const purge = recoveryLevel.includes('Purgeable')
        ? 'can be purged'
        : 'can’t be purged (purge protection)';
      const kept = recoverableDays ? `are kept for ${recoverableDays} days and ` : '';
      findings.push({ check: 'soft delete', status: 'ok', detail: `deleted secrets ${kept}${purge}` });
    }
    return findings;
  }

  async *trail(query: TrailQuery, options: CallOptions): AsyncIterable<AuditEvent> {
    if (query.name !== undefined) this.checkName(query.name);
    const { readTrail } = await import('./trail.ts');
    const { trail, cloud } = this.#settings;
    const reading = { trail, cloud, names: this.#names, context: this.#context };
    yield* readTrail(this.#service, reading, query, options);
  }

  async accessControl(): Promise<AccessControl> {
    const [{ AzureAccess }, { Arm }] = await Promise.all([import('./access.ts'), import('./arm.ts')]);
    const { title, cloud } = azureVault(this.#service.vaultUrl);
    return new AzureAccess({
      service: this.#service,
      vault: this.#vault,
      arm: new Arm(this.#service, CLOUDS[cloud].management),
      title,
      toAzure: (name) => this.#names.toAzure(name),
      fromAzure: (name) => this.#names.fromAzure(name),
    });
  }

  async nativeRotation(): Promise<NativeRotations> {
    const { AzureReminders } = await import('./rotation.ts');
    return new AzureReminders(this.#vault, (name) => this.#names.toAzure(name));
  }

  close(): Promise<void> {
    return this.#service.close();
  }

  #now(): Date {
    return this.#context.now();
  }

  #info(name: string, properties: SecretProperties): SecretInfo {
    const { contentType, tags, createdOn, updatedOn, expiresOn, version, enabled } = properties;
    return {
      name,
      nativeId: `${this.#service.vaultUrl}/secrets/${properties.name}`,
      ...(contentType !== undefined && contentType !== '' && { description: contentType }),
      labels: labelsOf(tags),
      updatedAt: updatedOn,
      ...(expiresOn !== undefined && { expiresAt: expiresOn, rotation: reminderOf(expiresOn, createdOn) }),
      ...(version !== undefined && { currentVersion: version }),
      ...(enabled === false && { isDisabled: true }),
    };
  }
}

function notThere(): SecretsError {
  return new SecretsError('NotFound', 'not found', {
    hint: 'secrets list shows the names, with --deleted the deleted ones',
  });
}
