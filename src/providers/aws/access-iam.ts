/** The policies of principals in IAM: those that a grant writes, and all that decide about a principal. */
import type { EvaluationResult } from '@aws-sdk/client-iam';
import { SecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import { type NamedPolicy, NOTHING, READ, type Tally } from './access-evaluate.ts';
import { type AwsPrincipal, type IamKind, orNone } from './access-principals.ts';
import { inDoubt } from './errors.ts';
import type { AwsService } from './service.ts';

const PARALLEL = 4;

/** An inline policy of a role, user or group. */
export interface Inline {
  readonly kind: IamKind;
  readonly owner: string;
  readonly policy: string;
}

export async function readInline(
  service: AwsService,
  { kind, owner, policy: PolicyName }: Inline,
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = await orNone(
    service.iam(signal, async ({ sdk, client }, http) => {
      if (kind === 'role')
        return client.send(new sdk.GetRolePolicyCommand({ RoleName: owner, PolicyName }), http);
      if (kind === 'user')
        return client.send(new sdk.GetUserPolicyCommand({ UserName: owner, PolicyName }), http);
      return client.send(new sdk.GetGroupPolicyCommand({ GroupName: owner, PolicyName }), http);
    }),
  );
  return found?.PolicyDocument === undefined ? undefined : decoded(found.PolicyDocument);
}

/** Writes the policy, or deletes it without a text. */
export async function writeInline(
  service: AwsService,
  { kind, owner, policy: PolicyName }: Inline,
  text: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const written = service.iam(signal, async ({ sdk, client }, http): Promise<unknown> => {
    const PolicyDocument = text;
    if (kind === 'role')
      return PolicyDocument === undefined
        ? client.send(new sdk.DeleteRolePolicyCommand({ RoleName: owner, PolicyName }), http)
        : client.send(new sdk.PutRolePolicyCommand({ RoleName: owner, PolicyName, PolicyDocument }), http);
    if (kind === 'user')
      return PolicyDocument === undefined
        ? client.send(new sdk.DeleteUserPolicyCommand({ UserName: owner, PolicyName }), http)
        : client.send(new sdk.PutUserPolicyCommand({ UserName: owner, PolicyName, PolicyDocument }), http);
    return PolicyDocument === undefined
      ? client.send(new sdk.DeleteGroupPolicyCommand({ GroupName: owner, PolicyName }), http)
      : client.send(new sdk.PutGroupPolicyCommand({ GroupName: owner, PolicyName, PolicyDocument }), http);
  });
  // What is deleted may be shown for a while.
  await (text === undefined ? orNone(written) : written).catch((thrown: unknown) => {
    throw thrown instanceof SecretsError ? inDoubt(thrown) : thrown;
  });
}

/** Every policy of a principal: inline and attached ones, for a user those of its groups too. */
export async function policiesOf(
  service: AwsService,
  { kind, name }: Pick<AwsPrincipal, 'kind' | 'name'>,
  signal: AbortSignal,
): Promise<readonly NamedPolicy[]> {
  if (kind === 'account') return [];
  const [inline, attached] = await Promise.all([
    inlineNames(service, kind, name, signal),
    attachedArns(service, kind, name, signal),
  ]);
  const limit = pool(PARALLEL);
  const own = await Promise.all([
    ...inline.map((policy) =>
      limit(async () => ({
        title: `the policy ${policy} of ${kind}/${name}`,
        text: (await readInline(service, { kind, owner: name, policy }, signal)) ?? '{}',
      })),
    ),
    ...attached.map((arn) => limit(() => managed(service, arn, signal))),
  ]);
  if (kind !== 'user') return own;
  const groups = await groupsOf(service, name, signal);
  const theirs = await Promise.all(
    groups.map((group) => policiesOf(service, { kind: 'group', name: group }, signal)),
  );
  return [...own, ...theirs.flat()];
}

/** A managed policy in the version that counts. */
export async function managed(service: AwsService, arn: string, signal: AbortSignal): Promise<NamedPolicy> {
  const text = await service.iam(signal, async ({ sdk, client }, http) => {
    const { Policy: policy } = await client.send(new sdk.GetPolicyCommand({ PolicyArn: arn }), http);
    const VersionId = policy?.DefaultVersionId ?? 'v1';
    const { PolicyVersion: version } = await client.send(
      new sdk.GetPolicyVersionCommand({ PolicyArn: arn, VersionId }),
      http,
    );
    return version?.Document ?? '{}';
  });
  return { title: `the policy ${arn}`, text: decoded(text) };
}

/**
 * Asks IAM's simulator about the principal's own policies; undefined where there is none, or the caller may not ask.
 * https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
 */
export async function simulate(
  service: AwsService,
  principal: string,
  { secret, now }: { readonly secret: string; readonly now: Date },
  signal: AbortSignal,
): Promise<Tally | undefined> {
  try {
    const { EvaluationResults: results } = await service.iam(signal, ({ sdk, client }, http) =>
      client.send(
        new sdk.SimulatePrincipalPolicyCommand({
          PolicySourceArn: principal,
          ActionNames: [READ],
          ResourceArns: [secret],
          ContextEntries: [
            {
              ContextKeyName: 'aws:CurrentTime',
              ContextKeyType: 'date',
              ContextKeyValues: [now.toISOString()],
            },
          ],
        }),
        http,
      ),
    );
    return saidBy(results?.[0]);
  } catch (thrown) {
    // An emulator answers with any failure at all.
    if (thrown instanceof SecretsError && !signal.aborted) return undefined;
    throw thrown;
  }
}

function saidBy(result: EvaluationResult | undefined): Tally | undefined {
  const { EvalDecision: decision, MissingContextValues: missing = [] } = result ?? {};
  const said = ['IAM’s simulator'];
  // Holds for the secret's own policy too.
  if (result?.OrganizationsDecisionDetail?.AllowedByOrganizations === false)
    return { ...NOTHING, Deny: { yes: ['a service control policy'], maybe: [] } };
  if (decision === 'explicitDeny' && missing.length === 0)
    return { ...NOTHING, Deny: { yes: said, maybe: [] } };
  if (missing.length > 0) {
    // It may be the condition of either: a denial would also count against what the secret's policy allows.
    const maybe = [`a condition on ${missing.join(', ')}`];
    return { Allow: { yes: [], maybe }, Deny: { yes: [], maybe } };
  }
  if (decision === 'allowed') return { ...NOTHING, Allow: { yes: said, maybe: [] } };
  return decision === 'implicitDeny' ? NOTHING : undefined;
}

/** Every inline policy of the account whose name starts so. */
export async function inlineWith(
  service: AwsService,
  prefix: string,
  signal: AbortSignal,
): Promise<readonly (Inline & { readonly text: string })[]> {
  return service.iam(signal, async ({ sdk, client }, http) => {
    const found: (Inline & { readonly text: string })[] = [];
    const pages = sdk.paginateGetAccountAuthorizationDetails(
      { client },
      { Filter: ['User', 'Role', 'Group'] },
      http,
    );
    for await (const page of pages) {
      const owners = [
        ...(page.RoleDetailList ?? []).map((one) => ['role', one.RoleName, one.RolePolicyList] as const),
        ...(page.UserDetailList ?? []).map((one) => ['user', one.UserName, one.UserPolicyList] as const),
        ...(page.GroupDetailList ?? []).map((one) => ['group', one.GroupName, one.GroupPolicyList] as const),
      ];
      for (const [kind, owner = '', policies] of owners)
        for (const { PolicyName: policy = '', PolicyDocument: text = '{}' } of policies ?? [])
          if (policy.startsWith(prefix)) found.push({ kind, owner, policy, text: decoded(text) });
    }
    return found;
  });
}

async function inlineNames(
  service: AwsService,
  kind: IamKind,
  name: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return service.iam(signal, async ({ sdk, client }, http) => {
    const names: string[] = [];
    const pages =
      kind === 'role'
        ? sdk.paginateListRolePolicies({ client }, { RoleName: name }, http)
        : kind === 'user'
          ? sdk.paginateListUserPolicies({ client }, { UserName: name }, http)
          : sdk.paginateListGroupPolicies({ client }, { GroupName: name }, http);
    for await (const page of pages) names.push(...(page.PolicyNames ?? []));
    return names;
  });
}

async function attachedArns(
  service: AwsService,
  kind: IamKind,
  name: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return service.iam(signal, async ({ sdk, client }, http) => {
    const arns: string[] = [];
    const pages =
      kind === 'role'
        ? sdk.paginateListAttachedRolePolicies({ client }, { RoleName: name }, http)
        : kind === 'user'
          ? sdk.paginateListAttachedUserPolicies({ client }, { UserName: name }, http)
          : sdk.paginateListAttachedGroupPolicies({ client }, { GroupName: name }, http);
    for await (const page of pages)
      for (const { PolicyArn: arn } of page.AttachedPolicies ?? []) if (arn !== undefined) arns.push(arn);
    return arns;
  });
}

async function groupsOf(service: AwsService, user: string, signal: AbortSignal): Promise<readonly string[]> {
  return service.iam(signal, async ({ sdk, client }, http) => {
    const names: string[] = [];
    for await (const page of sdk.paginateListGroupsForUser({ client }, { UserName: user }, http))
      for (const { GroupName: name } of page.Groups ?? []) if (name !== undefined) names.push(name);
    return names;
  });
}

/** IAM encodes documents as in URLs. */
function decoded(text: string): string {
  return /^\s*\{/.test(text) ? text : decodeURIComponent(text);
}
