/** What a session records: accesses through its stores, and attempts to use stores that could not be opened. */
import type { Config } from '../config/config.ts';
import type { AuditAction, AuditMode } from '../core/audit/record.ts';
import { toSecretsError } from '../core/errors.ts';
import type { Reference } from '../core/reference/reference.ts';
import type { Target } from './resolver.ts';
import { type World, xdgFolder } from '../platform/world.ts';
import { auditHeadFolder, openAuditLog } from '../audit/log/log.ts';
import { reasonOf } from '../audit/recording/reason.ts';
import { type Access, Recorder } from '../audit/recording/recorder.ts';

/** What each command does with the secrets that it names. Commands that aren't listed touch none. */
const WANTED: Readonly<Record<string, AuditAction>> = {
  get: 'read',
  put: 'write',
  list: 'list',
  history: 'describe',
  delete: 'delete',
  restore: 'restore',
  purge: 'purge',
  rotate: 'read',
  'rotate status': 'describe',
  'rotate cancel': 'other',
  exec: 'read',
  env: 'read',
  copy: 'read',
  diff: 'read',
  sync: 'read',
  import: 'write',
  'stores rekey': 'rekey',
  'access grant': 'access',
  'access revoke': 'access',
  'access list': 'describe',
  'access check': 'describe',
  'access policy': 'describe',
  'terraform data': 'read',
  'terraform ephemeral': 'read',
  'terraform resource': 'write',
  'audit anchor': 'write',
  'audit verify': 'read',
  'audit send': 'read',
  'audit report': 'list',
  'audit trail': 'describe',
  reference: 'describe',
};

/** The part of a run that records need. */
interface RecorderContext {
  readonly world: World;
  readonly options: { readonly reason?: string };
  readonly verb: string;
  readonly client?: string | undefined;
  config(): Promise<Config>;
  warn(message: string): void;
}

export class Records {
  readonly #context: RecorderContext;
  #recorder: Promise<Recorder> | undefined;
  readonly #strict = new Map<string, Promise<Recorder>>();
  /** By store: references that were named and that no provider is known to have recorded. */
  readonly #named = new Map<string, Partial<Reference>[]>();

  constructor(context: RecorderContext) {
    this.#context = context;
  }

  /** The recorder of the log. @throws SecretsError Usage for an invalid reason */
  recorder(): Promise<Recorder> {
    this.#recorder ??= this.#make();
    return this.#recorder;
  }

  /**
   * A recorder for an agent's clients, which rejects if it can't write, in either mode: the client then does it itself,
   * and says so as its own mode wants it.
   */
  strictRecorder(mode: Exclude<AuditMode, 'off'>): Promise<Recorder> {
    let recorder = this.#strict.get(mode);
    if (recorder === undefined) {
      recorder = this.#make(mode);
      this.#strict.set(mode, recorder);
    }
    return recorder;
  }

  /** The reason for this run's accesses. @throws SecretsError Usage for an invalid one */
  reason(): string | undefined {
    const { world, options } = this.#context;
    return reasonOf(options.reason, world.env['SECRETS_REASON']);
  }

  /** An agent has recorded what this store was needed for. */
  async isRecorded(store: string, extra: Target['native']): Promise<void> {
    this.isOpen(store, extra);
    const { sinks, untrustedSinks } = (await this.#context.config()).audit;
    // The records are in this run's log: it delivers them as if it had written them.
    if (sinks !== undefined || untrustedSinks === true) await this.recorder();
  }

  /** Whether anything may have been recorded. */
  get hasBegun(): boolean {
    return this.#recorder !== undefined;
  }

  async #make(strict?: Exclude<AuditMode, 'off'>): Promise<Recorder> {
    const { world, verb, client } = this.#context;
    const { audit } = await this.#context.config();
    const { user, host } = world.names();
    const context = {
      command: verb,
      user,
      uid: world.uid,
      host,
      pid: process.pid,
      client,
      reason: this.reason(),
    };
    const warn = (message: string): void => this.#context.warn(message);
    if (audit.sinks !== undefined && audit.log !== 'off') {
      try {
        const { registerSinks } = await import('../audit/sinks/deliver.ts');
        registerSinks(audit.path, audit.sinks, world.now());
      } catch (thrown) {
        warn(`the audit sinks get nothing: ${toSecretsError(thrown).message}`);
      }
    }
    const log = openAuditLog({
      ...audit,
      stateFolder: xdgFolder(world, 'state'),
      headFolder: auditHeadFolder(world),
      mode: (strict ?? audit.log) === 'required' ? 'required' : 'best-effort',
      now: world.now,
    });
    const settings = strict === undefined ? audit : { ...audit, log: 'required' as const };
    return new Recorder(log, settings, context, {
      now: world.now,
      warn,
      isLasting: verb === 'agent start' || verb === 'agent run',
    });
  }

  /** @throws SecretsError Policy if the log is `required` and can't be written */
  async record(access: Access): Promise<void> {
    await this.recordAll([access]);
  }

  /** @throws SecretsError as `record` has them */
  async recordAll(accesses: readonly Access[]): Promise<void> {
    await (await this.recorder()).record(accesses);
  }

  /** Notes what a store is needed for, before it is opened. */
  asks(store: string, extra: Target['native'], reference: Partial<Reference>): void {
    const id = storeId(store, extra);
    const known = this.#named.get(id);
    if (known === undefined) this.#named.set(id, [reference]);
    else known.push(reference);
  }

  /** What the store is needed for, as far as it was noted. */
  named(store: string, extra: Target['native']): readonly Partial<Reference>[] {
    return this.#named.get(storeId(store, extra)) ?? [];
  }

  /** From now on the store's own provider records every access. */
  isOpen(store: string, extra: Target['native']): void {
    this.#named.delete(storeId(store, extra));
  }

  /** Records the intended accesses of a store that can't be opened, because it has no provider to do it. */
  async unopened(store: string, extra: Target['native'], thrown: unknown): Promise<void> {
    const { verb } = this.#context;
    const action = WANTED[verb] ?? WANTED[verb.split(' ', 1)[0] ?? ''];
    if (action === undefined) return;
    const id = storeId(store, extra);
    const named = this.#named.get(id);
    // Record each reference once, however often the store is asked for.
    this.#named.set(id, []);
    const error = toSecretsError(thrown);
    const provider = (await this.#context.config()).stores.get(store)?.provider;
    const accesses = (named ?? [undefined]).map((reference): Access => ({
      action,
      store,
      provider,
      secret: reference?.name || undefined,
      version: reference?.version,
      stage: reference?.stage,
      keys: reference?.key === undefined ? undefined : [reference.key],
      error,
    }));
    await (await this.recorder()).record(accesses);
  }
}

/** Identifies an open store: its name, and the settings that a native identifier implies. */
export function storeId(name: string, extra: Target['native']): string {
  return `${name}\n${JSON.stringify(extra ?? null)}`;
}
