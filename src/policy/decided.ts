/**
 * The link in the chain around a provider that asks the policies before each call. `openChain` puts it around every
 * provider, so that no command can forget it, below the recorder, which records what it denies.
 */
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { CallKind } from '../core/policy/actions.ts';
import { pool } from '../core/waiting.ts';
import type { CallOptions } from '../providers/call.ts';
import type { AccessControl } from '../providers/capabilities/grants.ts';
import type { NativeRotations } from '../providers/capabilities/rotation.ts';
import { type Link, linked } from '../providers/link.ts';
import type { GetResult, Provider, SecretRequest } from '../providers/provider.ts';
import { denialOf, type Judge, type JudgedStore, type KnownLabels } from './judge.ts';
import type { Decision } from './policy.ts';

/** A provider, and what decides its calls. */
export interface DecidedStore {
  readonly provider: Provider;
  readonly judge: Judge;
  readonly store: JudgedStore;
}

/** How a method is decided; `undefined` if it is always allowed. */
const deciding: Link<Decisions> = {
  checkName: undefined,
  prepare: undefined,
  // Who the caller is, and not a secret.
  identity: undefined,
  knownIdentity: undefined,
  keepAlive: undefined,
  nativeId: undefined,
  close: undefined,
  diagnose: (decisions, diagnose) => async (options) => {
    const decision = decisions.decide('describe', undefined);
    if (decision.allowed) return diagnose(options);
    return [{ check: 'policy', status: 'fail', detail: decision.why ?? '', hint: decision.hint }];
  },
  get: (decisions, get) => async (requests, options) => {
    const errors = await decisions.denied(requests, options);
    const allowed = requests.filter((_request, index) => errors[index] === undefined);
    const answers = allowed.length === 0 ? [] : await get(allowed, options);
    let next = 0;
    return errors.map((error): GetResult =>
      error === undefined ? (answers[next++] as GetResult) : { ok: false, error },
    );
  },
  put: (decisions, put) => async (name, write, options) => {
    await decisions.check('write', name, options, write.labels);
    return put(name, write, options);
  },
  list: (decisions, list) =>
    async function* (query, options) {
      await decisions.check('list', query.prefix || undefined, options);
      yield* list(query, options);
    },
  delete: (decisions, remove) => async (name, query, options) => {
    await decisions.check('delete', name, options);
    return remove(name, query, options);
  },
  describe: (decisions, describe) => async (name, options) => {
    await decisions.check('describe', name, options);
    return describe(name, options);
  },
  grants: (decisions, grants) => async (name, options) => {
    await decisions.check('describe', name, options);
    return grants(name, options);
  },
  history: (decisions, history) =>
    async function* (name, options) {
      await decisions.check('describe', name, options);
      yield* history(name, options);
    },
  trail: (decisions, trail) =>
    async function* (query, options) {
      await decisions.check('describe', query.name, options);
      yield* trail(query, options);
    },
  checkRights: (decisions, checkRights) => async (name, actions, options) => {
    await decisions.check('describe', name, options);
    const denial = await decisions.check('write', name, options).then(() => undefined, toSecretsError);
    if (denial === undefined) return checkRights(name, actions, options);
    // A rehearsal must not find allowed what the policies then deny.
    const missing = [`the right to rotate: ${denial.message}`];
    return actions.map((action) => ({ action, verdict: 'denied' as const, missing }));
  },
  makeCurrent: (decisions, makeCurrent) => async (name, version, options) => {
    await decisions.check('write', name, options);
    return makeCurrent(name, version, options);
  },
  restore: (decisions, restore) => async (name, options) => {
    await decisions.check('restore', name, options);
    return restore(name, options);
  },
  purge: (decisions, purge) => async (name, version, options) => {
    await decisions.check('purge', name, options);
    return purge(name, version, options);
  },
  rekey: (decisions, rekey) => async (to, options) => {
    await decisions.check('rekey', undefined, options);
    return rekey(to, options);
  },
  setLabels: (decisions, setLabels) => async (name, labels, options) => {
    await decisions.check('write', name, options, labels);
    return setLabels(name, labels, options);
  },
  nativeRotation: (decisions, load) => async () => decidedNative(decisions, await load()),
  accessControl: (decisions, load) => async () => decidedControl(decisions, await load()),
};

/** Looking at policies is describing; only the change itself is a grant, so `--dry-run` doesn't need that right. */
function decidedControl(decisions: Decisions, control: AccessControl): AccessControl {
  const describe = (name: string | undefined, options: CallOptions): Promise<void> =>
    decisions.check(name === undefined ? 'list' : 'describe', name, options);
  const { policyFor } = control;
  return {
    plan: async (wish, options) => (await describe(wish.name, options), control.plan(wish, options)),
    apply: async (plan, options) => {
      await decisions.check('grant', plan.wish.name, options);
      return control.apply(plan, options);
    },
    list: async (name, options) => (await describe(name, options), control.list(name, options)),
    check: async (name, principal, options) => (
      await describe(name, options),
      control.check(name, principal, options)
    ),
    ...(policyFor !== undefined && {
      policyFor: async (purpose, names, options) => {
        if (names.length === 0) await describe(undefined, options);
        for (const name of names) await describe(name, options);
        return policyFor.call(control, purpose, names, options);
      },
    }),
    ownAccess: async (name, options) => (await describe(name, options), control.ownAccess(name, options)),
    settles: control.settles.bind(control),
  };
}

function decidedNative(decisions: Decisions, native: NativeRotations): NativeRotations {
  const { start, watch } = native;
  const describe = (name: string, options: CallOptions): Promise<void> =>
    decisions.check('describe', name, options);
  const rotate = (name: string, options: CallOptions): Promise<void> =>
    decisions.check('rotate', name, options);
  return {
    read: async (name, options) => (await describe(name, options), native.read(name, options)),
    plan: async (name, wish, options) => (await describe(name, options), native.plan(name, wish, options)),
    set: async (name, wish, options) => (await rotate(name, options), native.set(name, wish, options)),
    remove: async (name, options) => (await rotate(name, options), native.remove(name, options)),
    ...(start !== undefined && {
      start: async (name, wish, token, options) => (
        await rotate(name, options),
        start.call(native, name, wish, token, options)
      ),
    }),
    ...(watch !== undefined && {
      watch: async (name, started, options) => (
        await describe(name, options),
        watch.call(native, name, started, options)
      ),
    }),
  };
}

/** How many secrets' labels are asked for at a time. */
const PARALLEL = 8;

/** The decisions about one open store. */
class Decisions {
  readonly #of: DecidedStore;
  /** By kind of call and name: the policies that permitted the last such call. */
  readonly permits = new Map<string, readonly string[]>();

  constructor(of: DecidedStore) {
    this.#of = of;
  }

  decide(call: CallKind, name: string | undefined, labels?: KnownLabels): Decision {
    const { judge, store } = this.#of;
    const decision = judge.decide(store, call, name, labels);
    if (decision.allowed) this.permits.set(permitKey(call, name), decision.policies);
    return decision;
  }

  /**
   * @param changes labels that the call sets: a secret that doesn't exist yet has these
   * @throws SecretsError Policy
   */
  async check(
    call: CallKind,
    name: string | undefined,
    options: CallOptions,
    changes?: Readonly<Record<string, string | null>>,
  ): Promise<void> {
    const found = await this.#labels(call, name, options);
    const labels = found === 'absent' ? changed({}, changes ?? {}) : found;
    const decision = this.decide(call, name, labels);
    if (!decision.allowed) throw denialOf(decision);
    // Otherwise a secret could be relabelled out of, or into, what a policy allows.
    if (changes === undefined || labels === undefined || labels === 'unknown' || found === 'absent') return;
    const after = this.decide(call, name, changed(labels, changes));
    if (!after.allowed) throw denialOf(after);
  }

  /** For each request: why it isn't allowed; undefined if it is. */
  async denied(
    requests: readonly SecretRequest[],
    options: CallOptions,
  ): Promise<readonly (SecretsError | undefined)[]> {
    const byName = new Map<string, Promise<SecretsError | undefined>>();
    const limit = pool(PARALLEL);
    for (const { name } of requests) {
      if (byName.has(name)) continue;
      const checked = limit(() => this.check('read', name, options));
      byName.set(
        name,
        checked.then(() => undefined, toSecretsError),
      );
    }
    return Promise.all(requests.map(async ({ name }) => byName.get(name)));
  }

  /** Asked for only if a policy about this secret looks at labels. @throws SecretsError if they can't be read */
  async #labels(
    call: CallKind,
    name: string | undefined,
    options: CallOptions,
  ): Promise<KnownLabels | 'absent' | undefined> {
    const { judge, store, provider } = this.#of;
    if (name === undefined || call === 'list' || !judge.needsLabels(store, call, name)) return undefined;
    if (!provider.capabilities.has('labels')) return 'unknown';
    try {
      return (await provider.describe(name, options)).labels ?? {};
    } catch (thrown) {
      const error = toSecretsError(thrown);
      if (error.kind === 'NotFound') return 'absent';
      throw new SecretsError(
        'Policy',
        `a policy asks for its labels, which can’t be read: ${error.message}`,
        {
          hint: error.hint,
          cause: thrown,
        },
      );
    }
  }
}

function changed(
  labels: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Readonly<Record<string, string>> {
  const merged = Object.entries({ ...labels, ...changes });
  return Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== null));
}

function permitKey(call: string, name: string | undefined): string {
  return `${call}\n${name ?? ''}`;
}

export interface Decided {
  readonly provider: Provider;
  /**
   * Decides a call that somebody else answers, such as a memory of values.
   * @throws SecretsError Policy
   */
  check(call: CallKind, name: string | undefined, options: CallOptions): Promise<void>;
  /** The policies that permitted the last such call. */
  permits(call: CallKind, name: string | undefined): readonly string[] | undefined;
}

/** The same provider, which asks the policies before each call. */
export function decided(of: DecidedStore): Decided {
  const decisions = new Decisions(of);
  const provider = linked(of.provider, deciding, decisions);
  return {
    provider,
    check: (call, name, options) => decisions.check(call, name, options),
    permits: (call, name) => decisions.permits.get(permitKey(call, name)),
  };
}
