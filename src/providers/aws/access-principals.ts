/** Principals of AWS: roles, users and groups of IAM, and whole accounts. */
import { checkBreadth, parsePrincipal, unknownPrincipal } from '../../core/access/principal.ts';
import { SecretsError } from '../../core/errors.ts';
import type { AwsService } from './service.ts';

export type IamKind = 'role' | 'user' | 'group';

export interface AwsPrincipal {
  /** `account`: every principal of an account, as far as its own policies let it. */
  readonly kind: IamKind | 'account';
  readonly arn: string;
  readonly account: string;
  /** The name without its path. */
  readonly name: string;
  /** IAM of another account can't be asked: only a resource policy can name it. */
  readonly isForeign: boolean;
  /** Its permissions boundary, if it has one. */
  readonly boundary?: string | undefined;
}

const KINDS = ['role', 'user', 'group', 'account'];
const EXAMPLES = 'role/deploy, user/alice, group/oncall or an ARN';
const ARN = /^arn:(aws[a-z-]*):(iam|sts)::(\d{12}):(.+)$/;
const NAME = /^[\w+=,.@-]{1,128}$/;

/**
 * @param home the account of the secret @param partition of the secret's ARN
 * @throws SecretsError Usage, Policy for everybody and for accounts without `broad`, NotFound with the nearest name
 */
export async function findPrincipal(
  service: AwsService,
  text: string,
  {
    home,
    partition,
    broad,
  }: { readonly home: string; readonly partition: string; readonly broad?: boolean | undefined },
  signal: AbortSignal,
): Promise<AwsPrincipal> {
  if (text === '*') {
    checkBreadth('everybody', broad);
    throw new SecretsError('Unsupported', 'a secret can’t be granted to everybody: it would be public', {
      hint: 'name an account: account/123456789012',
    });
  }
  const { kind, name, account } = parse(text, home);
  if (kind === 'account') {
    checkBreadth(`everybody in the account ${account}`, broad);
    const arn = `arn:${partition}:iam::${account}:root`;
    return { kind, arn, account, name, isForeign: account !== home };
  }
  if (account !== home) {
    if (kind === 'group' || !text.startsWith('arn:'))
      throw new SecretsError('Usage', 'a principal of another account must be the ARN of a role or user');
    // Its path is part of the ARN, and only its own account knows it.
    return { kind, arn: text, account, name, isForeign: true };
  }
  const found = await look(service, kind, name, signal);
  if (found === undefined) {
    const known = await namesOf(service, kind, signal).catch(() => []);
    throw unknownPrincipal(`the account ${account}`, { kind, name }, known);
  }
  // A secret of another account: IAM answers for the caller's, where another principal may have this name.
  if (found.arn.split(':')[4] !== account)
    throw new SecretsError(
      'Unsupported',
      `the secret is in the account ${account}, whose IAM can’t be asked with this credential`,
      { hint: 'use a credential of that account, or the ARN of a principal of your own' },
    );
  return { kind, account, name, isForeign: false, ...found };
}

interface Parsed {
  readonly kind: AwsPrincipal['kind'];
  readonly name: string;
  readonly account: string;
}

function parse(text: string, home: string): Parsed {
  if (!text.startsWith('arn:')) {
    const { kind, name } = parsePrincipal(text, KINDS, EXAMPLES);
    const fits = kind === 'account' ? /^\d{12}$/.test(name) : NAME.test(name);
    if (!fits)
      throw notAPrincipal(
        kind === 'account' ? 'an account has twelve digits' : 'the name can’t be one of IAM',
      );
    return { kind: kind as Parsed['kind'], name, account: kind === 'account' ? name : home };
  }
  const [, , service, account = '', rest = ''] = ARN.exec(text) ?? [];
  if (service === undefined) throw notAPrincipal('the ARN is not one of IAM');
  if (rest === 'root') return { kind: 'account', name: account, account };
  // A session of a role: sts:…:assumed-role/NAME/SESSION.
  const session =
    service === 'sts' ? /^assumed-role\/([\w+=,.@-]+)\/[\w+=,.@-]+$/.exec(rest)?.[1] : undefined;
  if (session !== undefined) return { kind: 'role', name: session, account };
  const [, kind, name] = /^(role|user|group)\/(?:[\u0021-\u007e]*\/)?([\w+=,.@-]{1,128})$/.exec(rest) ?? [];
  if (service !== 'iam' || kind === undefined || name === undefined || rest.includes('*'))
    throw notAPrincipal('the ARN must be that of one role, user or group');
  return { kind: kind as IamKind, name, account };
}

function notAPrincipal(why: string): SecretsError {
  return new SecretsError('Usage', `this is not a principal: ${why}`, { hint: `such as ${EXAMPLES}` });
}

/** @returns its ARN and boundary; undefined if there is none */
async function look(
  service: AwsService,
  kind: IamKind,
  name: string,
  signal: AbortSignal,
): Promise<{ readonly arn: string; readonly boundary?: string | undefined } | undefined> {
  const found = await orNone(
    service.iam(signal, async ({ sdk, client }, http) => {
      if (kind === 'role') return (await client.send(new sdk.GetRoleCommand({ RoleName: name }), http)).Role;
      if (kind === 'user') return (await client.send(new sdk.GetUserCommand({ UserName: name }), http)).User;
      return (await client.send(new sdk.GetGroupCommand({ GroupName: name }), http)).Group;
    }),
  );
  if (found?.Arn === undefined) return undefined;
  const limit = (found as { PermissionsBoundary?: { PermissionsBoundaryArn?: string } }).PermissionsBoundary;
  return { arn: found.Arn, boundary: limit?.PermissionsBoundaryArn };
}

/** One page of names: enough for a suggestion. */
function namesOf(service: AwsService, kind: IamKind, signal: AbortSignal): Promise<readonly string[]> {
  return service.iam(signal, async ({ sdk, client }, http) => {
    const page = { MaxItems: 1000 };
    if (kind === 'role')
      return ((await client.send(new sdk.ListRolesCommand(page), http)).Roles ?? []).map(
        (one) => one.RoleName ?? '',
      );
    if (kind === 'user')
      return ((await client.send(new sdk.ListUsersCommand(page), http)).Users ?? []).map(
        (one) => one.UserName ?? '',
      );
    return ((await client.send(new sdk.ListGroupsCommand(page), http)).Groups ?? []).map(
      (one) => one.GroupName ?? '',
    );
  });
}

/** The result, or undefined if IAM has no such thing. */
export async function orNone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (thrown) {
    const { name } = ((thrown as Error).cause ?? {}) as { name?: unknown };
    if (name === 'NoSuchEntityException' || name === 'NoSuchEntity') return undefined;
    throw thrown;
  }
}
