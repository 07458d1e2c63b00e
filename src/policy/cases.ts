/** Test cases of policies: a YAML file that says who asks for what, and what should be decided. */
import { array, boolean, check, minLength, number, optional, picklist, pipe, record } from 'valibot';
import { type BaseIssue, type InferOutput, safeParse, strictObject, string } from 'valibot';
import { readYaml } from '../config/yaml.ts';
import { SecretsError } from '../core/errors.ts';
import { ACTIONS } from '../core/policy/actions.ts';
import { nearest } from '../core/reference/nearest.ts';
import { parseReference } from '../core/reference/reference.ts';
import { type JudgedStore, resourcesOf } from './judge.ts';
import type { Decision, Policy } from './policy.ts';

/** A whole number. */
const within = (first: number, last: number) =>
  pipe(
    number(),
    check(
      (value) => Number.isInteger(value) && value >= first && value <= last,
      `not a whole number from ${first} to ${last}`,
    ),
  );

const contextSchema = strictObject({
  command: optional(string()),
  program: optional(string()),
  ci: optional(boolean()),
  branch: optional(string()),
  terminal: optional(boolean()),
  hour: optional(within(0, 23)),
  weekday: optional(within(1, 7)),
  reason: optional(string()),
  host: optional(string()),
});

const caseSchema = strictObject({
  name: optional(string()),
  user: optional(string()),
  groups: optional(array(string())),
  client: optional(picklist(['vault'])),
  action: picklist(ACTIONS),
  resource: string(),
  provider: optional(string()),
  labels: optional(record(string(), string())),
  context: optional(contextSchema),
  expect: picklist(['allow', 'deny']),
  by: optional(string()),
});

const fileSchema = strictObject({ cases: pipe(array(caseSchema), minLength(1, 'empty')) });

export type PolicyCase = InferOutput<typeof caseSchema> & { readonly line: number };

/** @throws SecretsError Usage, naming path and line */
export function readCases(bytes: Uint8Array, path: string): readonly PolicyCase[] {
  const yaml = readYaml(bytes, path);
  const parsed = safeParse(fileSchema, yaml.value);
  if (!parsed.success) {
    // A misspelt key explains the missing one.
    const issue = parsed.issues.find(isUnknownKey) ?? parsed.issues[0];
    const keys = (issue.path ?? []).map(({ key }) => key as PropertyKey);
    throw new SecretsError('Usage', `${path}:${yaml.lineOf(keys)}: ${wrong(issue, keys)}`, {
      hint: hintFor(issue, keys),
    });
  }
  return parsed.output.cases.map((one, index) => {
    const line = yaml.lineOf(['cases', index]);
    const wrongResource = unlikeAnyCall(one);
    if (wrongResource !== undefined)
      throw new SecretsError('Usage', `${path}:${line}: ${wrongResource.why}`, { hint: wrongResource.hint });
    return { ...one, line };
  });
}

/** A resource that no call of this action is about: it would be denied under any policy, which says nothing. */
function unlikeAnyCall({
  action,
  resource,
}: Pick<PolicyCase, 'action' | 'resource'>): { readonly why: string; readonly hint?: string } | undefined {
  if (!resource.includes('://')) return { why: 'the resource needs its store: STORE://NAME' };
  const isStore = resource.endsWith('://');
  if (action === 'list' || (isStore && (action === 'describe' || action === 'grant'))) return undefined;
  if (action === 'rekey') return isStore ? undefined : { why: 'rekey is for a store: STORE://' };
  if (!resource.endsWith('/')) return undefined;
  return {
    why: `${action} is for one secret: ${resource} is ${isStore ? 'a store' : 'a prefix'}`,
    hint: 'name a secret in it; a slash at the end of a name is written %2F',
  };
}

const KEYS = [...Object.keys(caseSchema.entries), ...Object.keys(contextSchema.entries), 'cases'];

function isUnknownKey({ type, expected }: BaseIssue<unknown>): boolean {
  return type === 'strict_object' && expected === 'never';
}

function wrong(issue: BaseIssue<unknown>, keys: readonly PropertyKey[]): string {
  const key = String(keys.at(-1) ?? 'cases');
  if (isUnknownKey(issue)) return `no case has the key ${key}`;
  if (issue.kind === 'validation') return `${key} is ${issue.message}`;
  if (issue.received === 'undefined') return `${key} is missing`;
  return `${key} is not ${issue.expected?.replaceAll('"', '') ?? 'right'}`;
}

function hintFor(issue: BaseIssue<unknown>, keys: readonly PropertyKey[]): string | undefined {
  if (!isUnknownKey(issue)) return undefined;
  const near = nearest(String(keys.at(-1)), KEYS);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

/** A whole store has no name: `local://`. */
function resourceOf(text: string): { readonly store?: string | undefined; readonly name: string } {
  return text.endsWith('://') ? { store: text.slice(0, -3), name: '' } : parseReference(text);
}

/** The store of a case, as it is configured here. */
export type CaseStore = Pick<JudgedStore, 'provider' | 'settings'>;

/** What is decided for a case, with a usual run for what it doesn't say. */
export function decideCase(
  policy: Policy,
  one: PolicyCase,
  storeOf: (store: string) => CaseStore | undefined,
): Decision {
  const { store = '', name } = resourceOf(one.resource);
  const { command = 'get', ci = false, terminal = true, hour = 12, weekday = 3 } = one.context ?? {};
  const { program, branch, reason, host = 'localhost' } = one.context ?? {};
  const circumstances = { command, program, ci, branch, terminal, hour, weekday, reason, host };
  const known = storeOf(store);
  const provider = one.provider ?? known?.provider ?? store;
  const settings = known?.provider === provider ? known.settings : {};
  const judged: JudgedStore = { name: store, provider, settings, native: undefined };
  const decisions = resourcesOf(judged, one.action, name).map((resource) =>
    policy.decide({
      principal: {
        id: one.user ?? 'nobody',
        uid: undefined,
        groups: one.groups ?? [],
        client: one.client,
      },
      action: one.action,
      resource: { ...resource, labels: one.labels },
      circumstances,
    }),
  );
  const denied = decisions.find(({ allowed }) => !allowed);
  return denied ?? { allowed: true, policies: decisions.flatMap(({ policies }) => policies) };
}

/** What is wrong with a decision, as a clause; undefined if it is as expected. */
export function deviation({ expect, by }: PolicyCase, decision: Decision): string | undefined {
  const found = decision.allowed ? 'allow' : 'deny';
  const policies = decision.policies.map((id) => id.slice(id.indexOf(':') + 1));
  const because = decision.why ?? (policies.length > 0 ? `by ${policies.join(', ')}` : undefined);
  if (found !== expect)
    return `expected ${expect}, decided ${found}${because === undefined ? '' : ` (${because})`}`;
  if (by === undefined || policies.includes(by)) return undefined;
  return `decided ${found}, but not by ${by}${because === undefined ? '' : ` (${because})`}`;
}
