/** Decides calls of one run: who it is and what is known of it stay the same, while stores and secrets differ. */
import { SecretsError } from '../core/errors.ts';
import { actionFor, type CallKind, callsOf } from '../core/policy/actions.ts';
import { type Circumstances, listedPrefix, type Principal, type Resource } from '../core/policy/request.ts';
import { type SpellingParts, spellingsOf } from '../core/policy/spelling.ts';
import type { World } from '../platform/world.ts';
import { branchOf, circumstancesOf, type RunFacts } from './circumstances.ts';
import type { PolicyPlace } from './find.ts';
import { type Decision, Policy } from './policy.ts';
import { principalOf } from './principal.ts';

/** The store of a call, as its configuration has it. */
export type JudgedStore = Omit<SpellingParts, 'name' | 'store'> & { readonly name: string };

/** The labels of a secret; `unknown` if its store has no way to tell. */
export type KnownLabels = Readonly<Record<string, string>> | 'unknown';

/** A run whose calls are decided. */
export interface JudgedRun {
  readonly principal: Principal;
  readonly world: Pick<World, 'env' | 'now'>;
  readonly place: Pick<Circumstances, 'branch' | 'host'>;
  /** Called at each decision: a program is known later than its command. */
  readonly facts: () => RunFacts;
}

export class Judge {
  readonly policy: Policy;
  readonly #run: JudgedRun;

  constructor(policy: Policy, run: JudgedRun) {
    this.policy = policy;
    this.#run = run;
  }

  /** Of this process. @throws SecretsError Policy if a file can't be used */
  static load(world: World, places: readonly PolicyPlace[], facts: JudgedRun['facts']): Judge {
    const policy = Policy.load(world, places);
    // The branch is looked up in files, and only if a policy asks for it.
    const place = { host: world.names().host, branch: policy.usesBranch ? branchOf(world) : undefined };
    return new Judge(policy, { principal: principalOf(world), world, place, facts });
  }

  /** @param name of a secret; the text that a listing's names start with; undefined for the store as a whole */
  decide(store: JudgedStore, call: CallKind, name: string | undefined, labels?: KnownLabels): Decision {
    const { principal, world, place } = this.#run;
    const facts = this.#run.facts();
    const action = actionFor(facts.command, call);
    const circumstances = circumstancesOf(world, facts, place);
    const permits: string[] = [];
    for (const resource of resourcesOf(store, call, name)) {
      if (labels === 'unknown' && this.policy.needsLabels(resource, action)) return labelsUnknown(resource);
      const known = labels === 'unknown' ? undefined : labels;
      const decision = this.policy.decide({
        principal,
        action,
        resource: { ...resource, labels: known },
        circumstances,
      });
      if (!decision.allowed) return decision;
      permits.push(...decision.policies);
    }
    return { allowed: true, policies: [...new Set(permits)] };
  }

  needsLabels(store: JudgedStore, call: CallKind, name: string | undefined): boolean {
    const action = actionFor(this.#run.facts().command, call);
    return resourcesOf(store, call, name).some((resource) => this.policy.needsLabels(resource, action));
  }

  /**
   * Before a store is opened, which may sign in: fails if nothing that the command may do is allowed for any of the
   * secrets that it names.
   * @throws SecretsError Policy
   */
  checkNamed(store: JudgedStore, names: readonly string[]): void {
    const calls = callsOf(this.#run.facts().command);
    const denials = names.flatMap((name) =>
      calls.map((call) => (this.needsLabels(store, call, name) ? undefined : this.decide(store, call, name))),
    );
    const [first] = denials;
    if (first !== undefined && denials.every((one) => one?.allowed === false)) throw denialOf(first);
  }
}

/** What a call is decided for: all of it must be allowed. */
export function resourcesOf(
  { name: store, provider, settings, native }: JudgedStore,
  call: CallKind,
  name: string | undefined,
): readonly Resource[] {
  const about = call === 'list' ? listedPrefix(name) : name;
  return spellingsOf({ store, provider, settings, native, name: about ?? '' }).map((spelt) => ({
    store: spelt.store,
    provider,
    name: spelt.name === '' ? undefined : spelt.name,
    prefix: spelt.prefix,
  }));
}

function labelsUnknown({ store, name }: Resource): Decision {
  return {
    allowed: false,
    policies: [],
    why: `a policy asks for the labels of ${store}://${name}, and this store has none to show`,
    hint: 'name the secret or its prefix in the policy',
  };
}

/** The failure of a call that isn't allowed. */
export function denialOf({ why = 'no policy permits this', hint, policies }: Decision): SecretsError {
  return new SecretsError('Policy', why, { hint, policies });
}
