/**
 * What ACL policies together allow on one path, evaluated as Vault does. Source:
 * https://developer.hashicorp.com/vault/docs/concepts/policies#priority-matching
 */
import { fits, type Policy } from './grants.ts';

export interface AclVerdict {
  readonly verdict: 'allowed' | 'denied' | 'unknown';
  readonly why: string;
}

/** All rules for the same path, of all policies. */
export interface Merged {
  readonly path: string;
  readonly policies: string[];
  readonly capabilities: Set<string>;
  isConditional: boolean;
  /** Its path depends on the token. */
  readonly isTemplate: boolean;
}

export function mayRead(path: string, policies: readonly Policy[]): AclVerdict {
  const best = deciding(path, policies);
  if (best === undefined)
    return {
      verdict: 'denied',
      why: policies.length === 0 ? 'it has no policies' : 'no policy names this path',
    };
  if (best.isTemplate)
    return {
      verdict: 'unknown',
      why: `the policy ${best.policies.join(' and ')} has a rule with a template: ${best.path}`,
    };
  const where = `path ${best.path} of the policy ${best.policies.join(' and ')}`;
  if (best.capabilities.has('deny')) return { verdict: 'denied', why: where };
  if (!best.capabilities.has('read')) return { verdict: 'denied', why: `${where}, which has no read` };
  if (best.isConditional)
    return { verdict: 'unknown', why: `${where} asks for more, such as approval or wrapping` };
  return { verdict: 'allowed', why: where };
}

/** The rule that applies to a path; one with a template that may be it; undefined if none fits. */
export function deciding(path: string, policies: readonly Policy[]): Merged | undefined {
  const merged = new Map<string, Merged>();
  for (const { name, rules } of policies)
    for (const rule of rules) {
      // A parameter such as {{identity.entity.id}} is filled in per token.
      const isTemplate = rule.path.includes('{{');
      if (!(isTemplate ? couldFit(rule.path, path) : fits(rule.path, path))) continue;
      const known = merged.get(rule.path) ?? {
        path: rule.path,
        policies: [],
        capabilities: new Set<string>(),
        isConditional: false,
        isTemplate,
      };
      if (isTemplate) return { ...known, policies: [name] };
      merged.set(rule.path, known);
      known.policies.push(name);
      for (const capability of rule.capabilities) known.capabilities.add(capability);
      known.isConditional ||= rule.conditional === true;
    }
  return [...merged.values()].reduce<Merged | undefined>(
    (first, second) => (first === undefined || isStronger(second.path, first.path, path) ? second : first),
    undefined,
  );
}

/** Whether the first pattern applies rather than the second, where both fit. */
function isStronger(first: string, second: string, path: string): boolean {
  if (first === path || second === path) return first === path;
  const [a, b] = [wildcardAt(first), wildcardAt(second)];
  if (a !== b) return a > b;
  const [globA, globB] = [first.endsWith('*'), second.endsWith('*')];
  if (globA !== globB) return globB;
  const [plusA, plusB] = [pluses(first), pluses(second)];
  if (plusA !== plusB) return plusA < plusB;
  const [lengthA, lengthB] = [first.length - Number(globA), second.length - Number(globB)];
  return lengthA === lengthB ? first > second : lengthA > lengthB;
}

function wildcardAt(pattern: string): number {
  if (pluses(pattern) > 0) return pattern.indexOf('+');
  return pattern.endsWith('*') ? pattern.length - 1 : pattern.length;
}

function pluses(pattern: string): number {
  return pattern.split('/').filter((part) => part === '+').length;
}

function couldFit(pattern: string, path: string): boolean {
  return path.startsWith(pattern.slice(0, Math.max(0, pattern.search(/\{\{|\+/))));
}
