/** The policies of a run: found and read once, on first use, and asked before a store is opened and at each call. */
import type { Access } from '../audit/recording/recorder.ts';
import type { Config, StoreConfig } from '../config/config.ts';
import type { AuditAction } from '../core/audit/record.ts';
import type { SecretsError } from '../core/errors.ts';
import type { CallKind } from '../core/policy/actions.ts';
import type { Reference } from '../core/reference/reference.ts';
import { findPolicies } from '../policy/find.ts';
import type { Judge, JudgedStore } from '../policy/judge.ts';
import type { GetResult, Provider, SecretRequest } from '../providers/provider.ts';
import type { Reader, Target } from './resolver.ts';
import type { Run } from './run.ts';

/** The part of a run that policies need. */
interface PolicyContext {
  readonly run: Run;
  config(): Promise<Config>;
  /** Whether a person can be asked. */
  canAsk(): boolean;
  reason(): string | undefined;
  record(accesses: readonly Access[]): Promise<void>;
}

/** A provider in its place in the chain. */
interface Around {
  readonly provider: Provider;
  readonly permits?: (action: AuditAction, secret: string | undefined) => readonly string[] | undefined;
}

/** What each recorded action is as a call. */
export const CALLS: Readonly<Record<AuditAction, CallKind>> = {
  read: 'read',
  list: 'list',
  describe: 'describe',
  write: 'write',
  label: 'write',
  promote: 'write',
  delete: 'delete',
  restore: 'restore',
  purge: 'purge',
  rotate: 'rotate',
  rekey: 'rekey',
  access: 'grant',
  other: 'rotate',
};

export class Policies {
  readonly #context: PolicyContext;
  #known: Promise<{ readonly judge: Judge | undefined }> | undefined;

  constructor(context: PolicyContext) {
    this.#context = context;
  }

  /**
   * What decides; undefined without policy files. In an object, since a promise of it would be one of its fields.
   * @throws SecretsError Policy if there is a file that can't be used: nothing is allowed then
   */
  known(): Promise<{ readonly judge: Judge | undefined }> {
    this.#known ??= this.#load();
    return this.#known;
  }

  async #load(): Promise<{ readonly judge: Judge | undefined }> {
    const { run } = this.#context;
    const places = findPolicies(run.world, await this.#context.config());
    if (places.length === 0) return { judge: undefined };
    const { Judge } = await import('../policy/judge.ts');
    const facts = {
      command: run.verb,
      reason: this.#context.reason(),
      terminal: this.#context.canAsk(),
    };
    return {
      judge: Judge.load(run.world, places, () => ({ ...facts, program: run.program })),
    };
  }

  /**
   * Before a store is opened: fails if nothing is allowed for any of the secrets that are named.
   * @throws SecretsError Policy
   */
  async checkNamed(
    store: StoreConfig,
    native: Target['native'],
    named: readonly Partial<Reference>[],
  ): Promise<void> {
    const { judge } = await this.known();
    const names = named.flatMap(({ name }) => (name === undefined || name === '' ? [] : [name]));
    judge?.checkNamed(judgedStore(store, native), names);
  }

  /** Puts the decisions around an open provider. */
  async around(provider: Provider, store: StoreConfig, native: Target['native']): Promise<Around> {
    const { judge } = await this.known();
    if (judge === undefined) return { provider };
    const { decided } = await import('../policy/decided.ts');
    const around = decided({ provider, judge, store: judgedStore(store, native) });
    return { provider: around.provider, permits: (action, secret) => around.permits(CALLS[action], secret) };
  }

  /**
   * Reads what is allowed, so that neither a store nor an agent hears of anything else. Records what isn't.
   * @param get asks them
   */
  async reader(store: StoreConfig, native: Target['native'], get: Reader['get']): Promise<Reader> {
    const { judge } = await this.known();
    if (judge === undefined) return { get };
    const judged = judgedStore(store, native);
    const { denialOf } = await import('../policy/judge.ts');
    const denied = ({ name }: SecretRequest): SecretsError | undefined => {
      // The chain decides it, which knows the labels.
      if (judge.needsLabels(judged, 'read', name)) return undefined;
      const decision = judge.decide(judged, 'read', name);
      return decision.allowed ? undefined : denialOf(decision);
    };
    return {
      get: async (requests, options) => {
        const errors = requests.map(denied);
        const allowed = requests.filter((_request, index) => errors[index] === undefined);
        await this.#context.record(
          requests.flatMap(({ name, version, stage, keys }, index): Access[] => {
            const error = errors[index];
            if (error === undefined) return [];
            return [
              {
                action: 'read',
                store: store.name,
                provider: store.provider,
                secret: name,
                version,
                stage,
                keys,
                error,
              },
            ];
          }),
        );
        const answers = allowed.length === 0 ? [] : await get(allowed, options);
        let next = 0;
        return errors.map((error): GetResult =>
          error === undefined ? (answers[next++] as GetResult) : { ok: false, error },
        );
      },
    };
  }

  /** Whether a decision about one of them depends on its labels. */
  async needLabels(
    store: StoreConfig,
    native: Target['native'],
    requests: readonly SecretRequest[],
  ): Promise<boolean> {
    const { judge } = await this.known();
    if (judge === undefined) return false;
    const judged = judgedStore(store, native);
    return requests.some(({ name }) => judge.needsLabels(judged, 'read', name));
  }
}

export function judgedStore(
  { name, provider, settings }: Pick<StoreConfig, 'name' | 'provider' | 'settings'>,
  native: Target['native'],
): JudgedStore {
  return { name, provider, settings, native };
}
