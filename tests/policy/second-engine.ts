/**
 * A second evaluator of policies, for the part of Cedar that tests generate: written from the language's documents, on
 * the generated form and not on Cedar's, so that both can be wrong in different ways only.
 */
import type { PolicyAction } from '../../src/core/policy/actions.ts';
import type { PolicyRequest } from '../../src/core/policy/request.ts';

export type Test =
  | { readonly kind: 'hour'; readonly below: number }
  | { readonly kind: 'terminal' }
  | { readonly kind: 'reason'; readonly start: string }
  | { readonly kind: 'label'; readonly key: string; readonly value: string }
  | { readonly kind: 'name'; readonly start: string }
  | { readonly kind: 'not'; readonly of: Test }
  | { readonly kind: 'and' | 'or'; readonly left: Test; readonly right: Test };

export interface GeneratedPolicy {
  readonly effect: 'permit' | 'forbid';
  readonly who:
    | { readonly op: 'any' }
    | { readonly op: 'is user' | 'is client'; readonly id: string }
    | { readonly op: 'in user' | 'in group'; readonly id: string }
    | { readonly op: 'any client' };
  readonly actions: readonly PolicyAction[];
  /** `secret` also where conditions look at attributes, which only secrets have. */
  readonly where:
    | { readonly op: 'any' | 'secret' }
    | { readonly op: 'store'; readonly store: string }
    | { readonly op: 'prefix' | 'is'; readonly store: string; readonly name: string }
    | { readonly op: 'secret in prefix'; readonly store: string; readonly name: string };
  readonly when: Test | undefined;
  readonly unless: Test | undefined;
}

const text = (value: string): string => JSON.stringify(value);

export function toCedar(policy: GeneratedPolicy, id: string): string {
  const { effect, who, actions, where, when, unless } = policy;
  const principal = {
    any: () => 'principal',
    'is user': () => `principal == User::${text((who as { id: string }).id)}`,
    'is client': () => `principal == Client::${text((who as { id: string }).id)}`,
    'in user': () => `principal in User::${text((who as { id: string }).id)}`,
    'in group': () => `principal in Group::${text((who as { id: string }).id)}`,
    'any client': () => 'principal is Client',
  }[who.op]();
  const action =
    actions.length === 0
      ? 'action'
      : `action in [${actions.map((one) => `Action::${text(one)}`).join(', ')}]`;
  const at = where as { store: string; name: string };
  const resource = {
    any: () => 'resource',
    secret: () => 'resource is Secret',
    store: () => `resource in Store::${text(at.store)}`,
    prefix: () => `resource in Prefix::${text(`${at.store}://${at.name}`)}`,
    is: () => `resource == Secret::${text(`${at.store}://${at.name}`)}`,
    'secret in prefix': () => `resource is Secret in Prefix::${text(`${at.store}://${at.name}`)}`,
  }[where.op]();
  const clauses = [
    ...(when === undefined ? [] : [`when { ${testText(when)} }`]),
    ...(unless === undefined ? [] : [`unless { ${testText(unless)} }`]),
  ];
  return `@id(${text(id)}) ${effect} (${principal}, ${action}, ${resource}) ${clauses.join(' ')};`;
}

function testText(test: Test): string {
  switch (test.kind) {
    case 'hour':
      return `context.hour < ${test.below}`;
    case 'terminal':
      return 'context.terminal';
    case 'reason':
      return `(context has reason && context.reason like ${text(`${test.start}*`)})`;
    case 'label':
      return `(resource.hasTag(${text(test.key)}) && resource.getTag(${text(test.key)}) == ${text(test.value)})`;
    case 'name':
      return `resource.name like ${text(`${test.start}*`)}`;
    case 'not':
      return `!(${testText(test.of)})`;
    default:
      return `(${testText(test.left)} ${test.kind === 'and' ? '&&' : '||'} ${testText(test.right)})`;
  }
}

function holds(test: Test, { circumstances, resource }: PolicyRequest): boolean {
  const again = (other: Test): boolean => holds(other, { circumstances, resource } as PolicyRequest);
  switch (test.kind) {
    case 'hour':
      return circumstances.hour < test.below;
    case 'terminal':
      return circumstances.terminal;
    case 'reason':
      return circumstances.reason?.startsWith(test.start) === true;
    case 'label':
      return resource.labels?.[test.key] === test.value;
    case 'name':
      return resource.name?.startsWith(test.start) === true;
    case 'not':
      return !again(test.of);
    default:
      return test.kind === 'and'
        ? again(test.left) && again(test.right)
        : again(test.left) || again(test.right);
  }
}

function applies(policy: GeneratedPolicy, request: PolicyRequest): boolean {
  const { who, actions, where, when, unless } = policy;
  const { principal, action, resource } = request;
  const isClient = principal.client !== undefined;
  const asked = {
    any: () => true,
    'is user': () => !isClient && principal.id === (who as { id: string }).id,
    'is client': () => principal.client === (who as { id: string }).id,
    'in user': () => principal.id === (who as { id: string }).id,
    'in group': () => principal.groups.includes((who as { id: string }).id),
    'any client': () => isClient,
  }[who.op]();
  const name = resource.name ?? '';
  const isSecret = action !== 'list' && name !== '';
  const at = where as { store: string; name: string };
  const inStore = resource.store === at.store;
  // A prefix is in itself.
  const below = inStore && at.name !== undefined && name.startsWith(at.name);
  const meant = {
    any: () => true,
    secret: () => isSecret,
    store: () => inStore,
    prefix: () => below,
    is: () => isSecret && inStore && name === at.name,
    'secret in prefix': () => isSecret && below,
  }[where.op]();
  return (
    asked &&
    (actions.length === 0 || actions.includes(action)) &&
    meant &&
    (when === undefined || holds(when, request)) &&
    (unless === undefined || !holds(unless, request))
  );
}

/** What the policies decide, layer by layer. */
export function decideAgain(
  layers: readonly { readonly name: string; readonly policies: readonly GeneratedPolicy[] }[],
  request: PolicyRequest,
): { readonly allowed: boolean; readonly policies: readonly string[] } {
  const permits: string[] = [];
  for (const { name, policies } of layers) {
    const applying = (effect: string): readonly string[] =>
      policies.flatMap((policy, index) =>
        policy.effect === effect && applies(policy, request) ? [`${name}:p${index}`] : [],
      );
    const forbids = applying('forbid');
    if (forbids.length > 0) return { allowed: false, policies: forbids };
    const own = applying('permit');
    if (own.length === 0) return { allowed: false, policies: [] };
    permits.push(...own);
  }
  return { allowed: true, policies: permits };
}
