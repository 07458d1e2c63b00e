/**
 * The policies of a run: read once, then asked for each call. Every layer that has a file must allow a call, so each
 * layer can only narrow what the ones before it allow.
 */
import { SecretsError } from '../core/errors.ts';
import type { PolicyAction } from '../core/policy/actions.ts';
import type { PolicyProblem } from '../core/policy/problems.ts';
import {
  chainOf,
  contextOf,
  entitiesOf,
  idIn,
  type PolicyRequest,
  principalId,
  type Resource,
} from '../core/policy/request.ts';
import { type Rule, RuleIndex } from '../core/policy/rules.ts';
import type { World } from '../platform/world.ts';
import { loadCedar } from './engine.ts';
import type { LayerName, PolicyPlace } from './find.ts';
import { parsePolicies } from './parse.ts';
import { readPolicy } from './read.ts';

/** What was decided, and by which policies. */
export interface Decision {
  readonly allowed: boolean;
  /**
   * Ids of the policies that decided, each as `LAYER:ID`: those that forbid, or those that permit. Empty if nothing
   * permits.
   */
  readonly policies: readonly string[];
  /** If it isn't allowed: why, as a clause. */
  readonly why?: string | undefined;
  readonly hint?: string | undefined;
}

interface Layer {
  readonly name: LayerName;
  readonly path: string;
  readonly rules: readonly Rule[];
  readonly index: RuleIndex;
}

/** What Cedar said of the policies of one layer. */
interface Answer {
  readonly decision: 'allow' | 'deny';
  readonly decisive: readonly Rule[];
  readonly failure: { readonly rule: Rule | undefined; readonly message: string } | undefined;
}

/** An agent's clients can give any number of reasons. */
const MOST_ANSWERS = 10_000;

export class Policy {
  readonly #layers: readonly Layer[];
  /** Sets of policies that Cedar has parsed. */
  readonly #prepared = new Set<string>();
  readonly #answers = new Map<string, Answer>();
  static #count = 0;
  readonly #number = (Policy.#count += 1);
  /** For tests: how often Cedar was asked, and of how many policies the largest set consists. */
  evaluations = 0;
  largestSet = 0;

  private constructor(layers: readonly Layer[]) {
    this.#layers = layers;
  }

  /**
   * @param isLasting for a process that makes many decisions
   * @throws SecretsError Policy if a file can't be used, because then nothing may be allowed
   */
  static load(world: World, places: readonly PolicyPlace[], isLasting = false): Policy {
    loadCedar(isLasting);
    return Policy.of(places.map((place) => ({ ...place, text: readPolicy(world, place) })));
  }

  /** @throws SecretsError Policy if one isn't valid */
  static of(files: readonly (PolicyPlace & { readonly text: string })[]): Policy {
    return new Policy(
      files.map(({ layer, path, text }) => {
        const { rules, problems } = parsePolicies(text);
        const errors = problems.filter(({ severity }) => severity === 'error');
        if (errors.length > 0) throw invalid(path, errors);
        return { name: layer, path, rules, index: new RuleIndex(rules) };
      }),
    );
  }

  get layers(): readonly Pick<Layer, 'name' | 'path' | 'rules'>[] {
    return this.#layers;
  }

  /** Whether a decision about this may depend on labels. */
  needsLabels(resource: Resource, action: PolicyAction): boolean {
    const chain = chainOf(resource, action);
    return this.#layers.some(({ index }) => index.about(chain).rules.some(({ usesLabels }) => usesLabels));
  }

  /** How many sets of policies Cedar has parsed. */
  get sets(): number {
    return this.#prepared.size;
  }

  get usesBranch(): boolean {
    return this.#layers.some(({ rules }) => rules.some(({ usesBranch }) => usesBranch));
  }

  decide(request: PolicyRequest): Decision {
    const permits: string[] = [];
    for (const layer of this.#layers) {
      const decision = this.#decideIn(layer, request);
      if (!decision.allowed) return decision;
      permits.push(...decision.policies);
    }
    return { allowed: true, policies: permits };
  }

  #decideIn(layer: Layer, request: PolicyRequest): Decision {
    const chain = chainOf(request.resource, request.action);
    const { key, rules } = layer.index.about(chain);
    if (rules.length === 0) return nothingPermits(layer, request);
    const { decision, decisive, failure } = this.#answer(layer, key, rules, request);
    // Cedar skips a policy that fails. If it forbids, that would allow what it forbids.
    if (failure !== undefined)
      return denied(
        layer,
        [failure.rule],
        `the policy ${named(layer, failure.rule)} fails: ${failure.message}`,
      );
    if (decision === 'allow')
      return { allowed: true, policies: decisive.map(({ id }) => `${layer.name}:${id}`) };
    if (decisive.length === 0) return nothingPermits(layer, request);
    return denied(
      layer,
      decisive,
      `${request.action} is forbidden by the policy ${named(layer, decisive[0])}`,
    );
  }

  /**
   * Asks Cedar, unless it was asked the same before: where no condition looks at the resource, one answer is that of
   * every secret about which the same policies are.
   */
  #answer(layer: Layer, key: string, rules: readonly Rule[], request: PolicyRequest): Answer {
    const { principal, action, resource, circumstances } = request;
    const [uid] = chainOf(resource, action);
    const context = contextOf(circumstances);
    if (rules.some(({ usesResource }) => usesResource)) return this.#ask(layer, key, rules, request);
    const memory = JSON.stringify([layer.name, key, principal, action, uid?.type, context]);
    let answer = this.#answers.get(memory);
    if (answer === undefined) {
      answer = this.#ask(layer, key, rules, request);
      if (this.#answers.size >= MOST_ANSWERS) this.#answers.clear();
      this.#answers.set(memory, answer);
    }
    return answer;
  }

  #ask(layer: Layer, key: string, rules: readonly Rule[], request: PolicyRequest): Answer {
    this.evaluations += 1;
    const answer = loadCedar().statefulIsAuthorized({
      principal: principalId(request.principal),
      action: { type: 'Action', id: request.action },
      resource: chainOf(request.resource, request.action)[0] as { type: string; id: string },
      context: contextOf(request.circumstances),
      entities: entitiesOf(request) as never,
      preparsedPolicySetId: this.#prepare(layer, key, rules),
      validateRequest: false,
    });
    if (answer.type === 'failure')
      return {
        decision: 'deny',
        decisive: [],
        failure: { rule: undefined, message: answer.errors[0]?.message ?? '' },
      };
    const { decision, diagnostics } = answer.response;
    const [failed] = diagnostics.errors;
    return {
      decision,
      decisive: diagnostics.reason.map((id) => rules[Number(id)]).filter((rule) => rule !== undefined),
      failure: failed && { rule: rules[Number(failed.policyId)], message: failed.error.message },
    };
  }

  /** Ids in a set are places in `rules`, which are the same for the same key. */
  #prepare(layer: Layer, key: string, rules: readonly Rule[]): string {
    const id = `${this.#number} ${layer.name} ${key}`;
    if (this.#prepared.has(id)) return id;
    const staticPolicies = Object.fromEntries(rules.map(({ text }, index) => [String(index), text]));
    const answer = loadCedar().preparsePolicySet(id, { staticPolicies });
    if (answer.type === 'failure')
      throw new SecretsError(
        'Policy',
        `the policy ${layer.path} can’t be read: ${answer.errors[0]?.message}`,
      );
    this.#prepared.add(id);
    this.largestSet = Math.max(this.largestSet, rules.length);
    return id;
  }
}

function denied(layer: Layer, rules: readonly (Rule | undefined)[], why: string): Decision {
  const policies = rules.flatMap((rule) => (rule === undefined ? [] : [`${layer.name}:${rule.id}`]));
  return { allowed: false, policies, why };
}

function nothingPermits(layer: Layer, { action, principal, resource }: PolicyRequest): Decision {
  const { store, name } = resource;
  const what = name === undefined ? `the store ${store}` : idIn(store, name);
  return {
    allowed: false,
    policies: [],
    why: `no policy in ${layer.path} permits ${principal.client === undefined ? principal.id : `the agent’s client ${principal.client}`} to ${VERBS[action]} ${what}`,
    hint: undefined,
  };
}

/** The actions as verbs of a sentence. */
const VERBS: Readonly<Record<PolicyAction, string>> = {
  read: 'read',
  inject: 'inject',
  list: 'list',
  describe: 'describe',
  write: 'write',
  delete: 'delete',
  restore: 'restore',
  purge: 'purge',
  rotate: 'rotate',
  rekey: 'rekey',
  grant: 'grant access to',
};

function named({ path }: Layer, rule: Rule | undefined): string {
  return rule === undefined ? path : `${rule.id} (${path}:${rule.line})`;
}

function invalid(path: string, problems: readonly PolicyProblem[]): SecretsError {
  const [first] = problems;
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new SecretsError('Policy', `${path}:${first?.line}:${first?.column}: ${first?.message}${more}`, {
    hint: `${first?.hint === undefined ? '' : `${first.hint}; `}nothing is allowed until the policy is mended`,
  });
}
