/** Reads policies from the text of a file: all of them, or what is wrong, each with its place. */
import type { DetailedError } from '@cedar-policy/cedar-wasm/web';
import type { PolicyProblem } from '../core/policy/problems.ts';
import { type PolicyJson, type Rule, ruleOf } from '../core/policy/rules.ts';
import { POLICY_SCHEMA } from '../core/policy/schema.ts';
import {
  fromByteOffset,
  type PolicyText,
  type Position,
  positionAt,
  splitPolicies,
  tooComplex,
} from '../core/policy/source.ts';
import { singleLine } from '../core/text/sanitize.ts';
import { loadCedar } from './engine.ts';

export interface ParsedPolicies {
  readonly rules: readonly Rule[];
  /** With an error among them, the file must not be used. */
  readonly problems: readonly PolicyProblem[];
}

/** @param source the file's text */
export function parsePolicies(source: string): ParsedPolicies {
  const rules: Rule[] = [];
  const problems: PolicyProblem[] = [];
  const texts = splitPolicies(source.replace(/^\uFEFF/, ' '));
  for (const text of texts) {
    const { rule, problem } = parseOne(source, text);
    if (rule !== undefined) rules.push(rule);
    if (problem !== undefined) problems.push(problem);
  }
  problems.push(...sameIds(rules));
  if (problems.length === 0 && rules.length > 0) problems.push(...validate(source, texts));
  return { rules, problems };
}

interface ParsedOne {
  readonly rule?: Rule;
  readonly problem?: PolicyProblem;
}

function parseOne(source: string, { start, text }: PolicyText): ParsedOne {
  const place = positionAt(source, start);
  const complex = tooComplex(text);
  if (complex !== undefined)
    return { problem: complexity(positionAt(source, start + complex.at), complex.why) };
  let answer: ReturnType<ReturnType<typeof loadCedar>['policyToJson']>;
  try {
    answer = loadCedar().policyToJson(text);
  } catch {
    // Its stack has overflowed by something that isn't counted.
    return { problem: complexity(place, 'the policy is too complex for Cedar') };
  }
  if (answer.type === 'success')
    return { rule: ruleOf(answer.json as unknown as PolicyJson, text, place.line) };
  if (/\?(?:principal|resource)\b/.test(text) && loadCedar().templateToJson(text).type === 'success')
    return {
      problem: {
        ...place,
        message: 'this is a template, which nothing here fills in',
        hint: 'write a policy for each principal or resource',
        severity: 'error',
      },
    };
  const [error] = answer.errors;
  return { problem: problemOf(source, { start, text }, error, 'error') };
}

function complexity(place: Position, message: string): PolicyProblem {
  const hint = 'divide the policy, or compare with a set: ["a", "b"].contains(…)';
  return { ...place, message, hint, severity: 'error' };
}

/** Messages and records name policies by their ids. */
function sameIds(rules: readonly Rule[]): readonly PolicyProblem[] {
  const first = new Map<string, number>();
  const problems: PolicyProblem[] = [];
  for (const { id, line } of rules) {
    const other = first.get(id);
    if (other === undefined) first.set(id, line);
    else
      problems.push({
        line,
        column: 1,
        message: `the policy in line ${other} has the same id, ${singleLine(id).slice(0, 64)}`,
        hint: 'put each policy on a line of its own and give it an @id of its own',
        severity: 'error',
      });
  }
  return problems;
}

/** What the schema has against policies that are well-formed. */
function validate(source: string, texts: readonly PolicyText[]): readonly PolicyProblem[] {
  const staticPolicies = Object.fromEntries(texts.map(({ text }, index) => [String(index), text]));
  const answer = loadCedar().validate({ schema: POLICY_SCHEMA, policies: { staticPolicies } });
  if (answer.type === 'failure')
    return answer.errors.map((error) => problemOf(source, { start: 0, text: source }, error, 'error'));
  const at = (id: string): PolicyText => texts[Number(id)] ?? { start: 0, text: source };
  const wrong = new Set(answer.validationErrors.map(({ policyId }) => policyId));
  return [
    ...answer.validationErrors.map(({ policyId, error }) => problemOf(source, at(policyId), error, 'error')),
    // What else is said of a policy with an error follows from it.
    ...answer.validationWarnings
      .filter(({ policyId }) => !wrong.has(policyId))
      .map(({ policyId, error }) => problemOf(source, at(policyId), error, 'warning')),
  ];
}

function problemOf(
  source: string,
  { start, text }: PolicyText,
  error: DetailedError | undefined,
  severity: PolicyProblem['severity'],
): PolicyProblem {
  const [where] = error?.sourceLocations ?? [];
  const offset = where === undefined ? 0 : fromByteOffset(text, where.start);
  const expected = where?.label ?? undefined;
  const message = (error?.message ?? 'cannot be read')
    .replace(/^failed to parse (?:policy|policies|template) from (?:string|JSON): /, '')
    .replace(/^for policy `\d+`, /, '');
  return {
    ...positionAt(source, start + offset),
    message: singleLine(expected === undefined ? message : `${message} (${expected})`),
    hint: error?.help === null || error?.help === undefined ? undefined : singleLine(error.help),
    severity,
  };
}
