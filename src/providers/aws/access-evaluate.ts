/**
 * Whether policies let a principal read a secret, as far as that can be told from their text. Source:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
import { isJsonObject, type JsonValue } from '../../core/json.ts';
import { fitsPattern } from '../../core/text/pattern.ts';
import { type Statement, statementsIn } from './access-document.ts';

export const READ = 'secretsmanager:GetSecretValue';

/** A policy, and what answers call it. */
export interface NamedPolicy {
  readonly title: string;
  readonly text: string;
}

export interface Question {
  /** The secret's ARN. */
  readonly secret: string;
  readonly principal: string;
  readonly account: string;
  readonly now: Date;
}

/** `maybe`: it depends on what isn't known here. */
type Match = 'yes' | 'no' | 'maybe';

/** What policies say, by effect and certainty: the titles of those that say so. */
export type Tally = Readonly<Record<'Allow' | 'Deny', Readonly<Record<'yes' | 'maybe', readonly string[]>>>>;

export const NOTHING: Tally = { Allow: { yes: [], maybe: [] }, Deny: { yes: [], maybe: [] } };

/** @param isResource whether these are the secret's own policies, which name principals */
export function tally(policies: readonly NamedPolicy[], question: Question, isResource = false): Tally {
  const said = policies.flatMap(({ title, text }) =>
    statementsIn(text).map((statement) => ({
      title,
      effect: statement['Effect'],
      match: fitting(statement, question, isResource),
    })),
  );
  const titles = (effect: string, match: Match): readonly string[] =>
    said.filter((one) => one.effect === effect && one.match === match).map(({ title }) => title);
  return {
    Allow: { yes: titles('Allow', 'yes'), maybe: titles('Allow', 'maybe') },
    Deny: { yes: titles('Deny', 'yes'), maybe: titles('Deny', 'maybe') },
  };
}

/** Of policies any of which can allow, as those of a principal and of a secret in the same account. */
export function decide(tallies: readonly Tally[]): {
  verdict: 'allowed' | 'denied' | 'unknown';
  why: string;
} {
  const first = (effect: 'Allow' | 'Deny', match: 'yes' | 'maybe'): string | undefined =>
    tallies.flatMap((one) => one[effect][match])[0];
  const denies = first('Deny', 'yes');
  if (denies !== undefined) return { verdict: 'denied', why: `${denies} denies it` };
  const [allows, mayAllow, mayDeny] = [
    first('Allow', 'yes'),
    first('Allow', 'maybe'),
    first('Deny', 'maybe'),
  ];
  if (allows === undefined && mayAllow === undefined)
    return { verdict: 'denied', why: 'no policy allows it' };
  const open = mayDeny ?? (allows === undefined ? mayAllow : undefined);
  return open === undefined
    ? { verdict: 'allowed', why: `${allows} allows it` }
    : { verdict: 'unknown', why: `${open} depends on what isn’t known here` };
}

function fitting(statement: Statement, question: Question, isResource: boolean): Match {
  return all([
    actionOf(statement),
    isResource && statement['Resource'] === undefined && statement['NotResource'] === undefined
      ? 'yes'
      : resourceOf(statement, question.secret),
    isResource ? principalOf(statement, question) : 'yes',
    conditionOf(statement['Condition'], question.now),
  ]);
}

function all(matches: readonly Match[]): Match {
  if (matches.includes('no')) return 'no';
  return matches.includes('maybe') ? 'maybe' : 'yes';
}

function any(matches: readonly Match[]): Match {
  if (matches.includes('yes')) return 'yes';
  return matches.includes('maybe') ? 'maybe' : 'no';
}

function not(match: Match): Match {
  return match === 'maybe' ? 'maybe' : match === 'yes' ? 'no' : 'yes';
}

/** Actions ignore case. */
function actionOf({ Action: action, NotAction: notAction }: Statement): Match {
  const fits = (value: JsonValue): Match =>
    any(listOf(value).map((one) => yes(fitsPattern(one.toLowerCase(), READ.toLowerCase()))));
  if (action !== undefined) return fits(action);
  return notAction === undefined ? 'no' : not(fits(notAction));
}

function resourceOf({ Resource: resource, NotResource: notResource }: Statement, secret: string): Match {
  const fits = (value: JsonValue): Match =>
    any(
      listOf(value).map((one) =>
        // A policy variable stands for what only the request has.
        one.includes('${')
          ? fitsPattern(one.replaceAll(/\$\{[^}]*\}/g, '*'), secret)
            ? 'maybe'
            : 'no'
          : arnFits(one, secret),
      ),
    );
  if (resource !== undefined) return fits(resource);
  return notResource === undefined ? 'no' : not(fits(notResource));
}

/**
 * AWS completes an ARN of fewer than six parts with wildcards. Whether a wildcard goes past a colon depends on where it is.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
 */
function arnFits(pattern: string, secret: string): Match {
  if (pattern === '*') return 'yes';
  const parts = pattern.split(':');
  while (parts.length < 6) parts.push('*');
  if (!fitsPattern(parts.join(':'), secret)) return 'no';
  const given = secret.split(':');
  const isEach = parts.slice(0, 5).every((part, index) => fitsPattern(part, given[index] as string));
  return isEach && fitsPattern(parts.slice(5).join(':'), given.slice(5).join(':')) ? 'yes' : 'maybe';
}

function principalOf(statement: Statement, question: Question): Match {
  const { Principal: given, NotPrincipal: excluded } = statement;
  // Also excludes sessions and accounts, in ways that depend on the request.
  if (excluded !== undefined) return 'maybe';
  if (given === '*') return 'yes';
  if (!isJsonObject(given)) return 'no';
  return any(
    Object.entries(given).flatMap(([kind, names]) =>
      kind !== 'AWS'
        ? []
        : listOf(names).map((name): Match => {
            if (name === '*' || name === question.principal) return 'yes';
            // One session of this role.
            if (sessionOf(name) === roleOf(question.principal)) return 'maybe';
            // A whole account: Deny is for everybody in it, and Allow leaves it to their own policies.
            const isAccount = name === question.account || name.endsWith(`:iam::${question.account}:root`);
            return yes(isAccount && statement['Effect'] === 'Deny');
          }),
    ),
  );
}

/** `ACCOUNT NAME` of the role that a session is one of. */
function sessionOf(arn: string): string | undefined {
  return /^arn:[^:]+:sts::(\d+):assumed-role\/([^/]+)\//.exec(arn)?.slice(1).join(' ');
}

/** The same of a role; empty for other principals. */
function roleOf(arn: string): string {
  return /^arn:[^:]+:iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(arn)?.slice(1).join(' ') ?? '';
}

/** Only times are known; every other condition depends on the request. */
function conditionOf(condition: JsonValue | undefined, now: Date): Match {
  if (condition === undefined) return 'yes';
  if (!isJsonObject(condition)) return 'maybe';
  return all(
    Object.entries(condition).flatMap(([operator, keys]) =>
      isJsonObject(keys)
        ? Object.entries(keys).map(([key, values]) => timeOf(operator, key, values, now))
        : ['maybe' as const],
    ),
  );
}

const COMPARED: Readonly<Record<string, (now: number, then: number) => boolean>> = {
  DateLessThan: (now, then) => now < then,
  DateLessThanEquals: (now, then) => now <= then,
  DateGreaterThan: (now, then) => now > then,
  DateGreaterThanEquals: (now, then) => now >= then,
};

function timeOf(operator: string, key: string, values: JsonValue, now: Date): Match {
  const compare = Object.hasOwn(COMPARED, operator) ? COMPARED[operator] : undefined;
  if (compare === undefined || key.toLowerCase() !== 'aws:currenttime') return 'maybe';
  return any(
    listOf(values).map((value) => {
      const then = Date.parse(value);
      return Number.isNaN(then) ? 'maybe' : yes(compare(now.getTime(), then));
    }),
  );
}

function yes(fits: boolean): Match {
  return fits ? 'yes' : 'no';
}

function listOf(value: JsonValue): readonly string[] {
  return (Array.isArray(value) ? (value as readonly JsonValue[]) : [value]).map(String);
}
