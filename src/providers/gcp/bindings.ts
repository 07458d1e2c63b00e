/** Bindings of an IAM policy as text, and those that a grant writes. */
import { SecretsError } from '../../core/errors.ts';

export interface Condition {
  readonly title?: string;
  readonly description?: string;
  readonly expression: string;
  readonly location?: string;
}

export interface Binding {
  readonly role: string;
  readonly members: readonly string[];
  readonly condition?: Condition;
}

/** The role that may read values and nothing else. */
const ROLE = 'roles/secretmanager.secretAccessor';
const TITLE = 'secrets access grant';
/** A condition that always holds here: without one, Google would merge the grant with other bindings of the role. */
const ALWAYS = 'resource.service == "secretmanager.googleapis.com"';
const UNTIL = /^request\.time < timestamp\("([^"]+)"\)$/;
const STRING_FIELDS = ['title', 'description', 'expression', 'location'] as const;

export function bindingFor(member: string, until: Date | undefined): Binding {
  const time = until?.toISOString().replace('.000Z', 'Z');
  const expression = time === undefined ? ALWAYS : `request.time < timestamp("${time}")`;
  // A description has at most 256 characters; the members tell the rest.
  const description = `For ${member}; secrets access revoke removes it`.slice(0, 256);
  return { role: ROLE, members: [member], condition: { title: TITLE, description, expression } };
}

/** Whether a grant wrote this binding, for whomever. */
export function isOurs({ role, condition }: Binding): boolean {
  const { title, expression = '' } = condition ?? {};
  return role === ROLE && title === TITLE && (expression === ALWAYS || UNTIL.test(expression));
}

export function grantTo({ members, condition }: Binding, member: string): boolean {
  return (
    members.includes(member) &&
    bindingFor(member, undefined).condition?.description === condition?.description
  );
}

/** Whether the condition holds now; `undefined` where that isn't known. */
export function conditionOf(
  { condition }: Binding,
  now: Date,
): { readonly holds: boolean | undefined; readonly until?: Date } {
  if (condition === undefined || condition.expression === ALWAYS) return { holds: true };
  const until = new Date(UNTIL.exec(condition.expression)?.[1] ?? '');
  return Number.isNaN(until.getTime()) ? { holds: undefined } : { holds: now < until, until };
}

/** @throws SecretsError Unavailable for anything that is no list of bindings */
export function readBindings(list: unknown): Binding[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw strange();
  return (list as readonly unknown[]).map((one) => {
    const { role, members, condition } = (one ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof role !== 'string' || !Array.isArray(members)) throw strange();
    const found = conditionIn(condition);
    return { role, members: members.map(String), ...(found && { condition: found }) };
  });
}

/** The two transports differ in what they leave out: empty fields are none. */
function conditionIn(condition: unknown): Condition | undefined {
  const given = (condition ?? {}) as Readonly<Record<string, unknown>>;
  const fields = STRING_FIELDS.flatMap((field) => {
    const value = given[field];
    return typeof value === 'string' && value !== '' ? [[field, value] as const] : [];
  });
  return fields.length === 0 ? undefined : (Object.fromEntries(fields) as unknown as Condition);
}

export function policyText(bindings: readonly Binding[]): string {
  return JSON.stringify({ bindings }, null, 2);
}

function strange(): SecretsError {
  return new SecretsError('Unavailable', 'the response is not an IAM policy', {
    hint: 'check the endpoint: secrets doctor',
  });
}
