/** What a policy says, as far as it can be told without evaluating it: Cedar's JSON form of a policy. */
import type { EntityId } from './request.ts';

/** The part of Cedar's JSON form that is looked at. */
export interface PolicyJson {
  readonly effect: 'permit' | 'forbid';
  readonly resource: Constraint;
  readonly conditions: readonly unknown[];
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

interface Constraint {
  readonly op: string;
  readonly entity?: unknown;
  readonly in?: { readonly entity?: unknown } | undefined;
}

/** One policy of a file. */
export interface Rule {
  /** Its `@id`, or "line 12". */
  readonly id: string;
  readonly line: number;
  readonly effect: 'permit' | 'forbid';
  readonly text: string;
  /** The resource or what contains it, if the policy's head names one. */
  readonly scope: EntityId | undefined;
  /** Whether a condition depends on the resource, beyond the head. */
  readonly usesResource: boolean;
  /** Whether a condition looks at labels. */
  readonly usesLabels: boolean;
  /** Whether a condition looks at the branch. */
  readonly usesBranch: boolean;
}

export function ruleOf(json: PolicyJson, text: string, line: number): Rule {
  const { effect, resource, conditions, annotations } = json;
  const body = JSON.stringify(conditions);
  return {
    id: annotations?.['id'] || `line ${line}`,
    line,
    effect,
    text,
    scope: entityOf(resource.entity ?? resource.in?.entity),
    // In the JSON form these are names of operators and attributes; the same word in a text costs a call at most.
    // What an entity that is written out is part of, Cedar only knows of those above the resource.
    usesResource:
      body.includes('"Var":"resource"') || /"__entity":\{"type":"(?:Secret|Prefix|Store)"/.test(body),
    usesLabels: /"(?:hasTag|getTag)"/.test(body),
    usesBranch: body.includes('"branch"'),
  };
}

function entityOf(entity: unknown): EntityId | undefined {
  const { type, id, __entity } = (entity ?? {}) as Partial<EntityId> & { readonly __entity?: unknown };
  if (__entity !== undefined) return entityOf(__entity);
  return typeof type === 'string' && typeof id === 'string' ? { type, id } : undefined;
}

/** As a key of a map. */
export function entityKey({ type, id }: EntityId): string {
  return `${type}::${JSON.stringify(id)}`;
}

/**
 * The policies of one file by the resource that their head names: a request only needs those about the resource, what
 * contains it, and everything. A thousand policies about other prefixes then cost it nothing.
 */
export class RuleIndex {
  readonly #byScope = new Map<string, Rule[]>();
  readonly #general: Rule[] = [];

  constructor(rules: readonly Rule[]) {
    for (const rule of rules) {
      if (rule.scope === undefined) this.#general.push(rule);
      else {
        const key = entityKey(rule.scope);
        const same = this.#byScope.get(key);
        if (same === undefined) this.#byScope.set(key, [rule]);
        else same.push(rule);
      }
    }
  }

  /** Those that can matter, and a key that is the same for the same ones. */
  about(chain: readonly EntityId[]): { readonly key: string; readonly rules: readonly Rule[] } {
    const keys = chain.map(entityKey).filter((key) => this.#byScope.has(key));
    return {
      key: keys.join(' '),
      rules: [...this.#general, ...keys.flatMap((key) => this.#byScope.get(key) ?? [])],
    };
  }
}
