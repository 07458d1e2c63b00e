/**
 * Grants in AWS. For a role, user or group of the secret's own account, a grant is an inline policy of its own: nobody
 * else writes that document, so grants at the same time can't overwrite each other. For other accounts, and with
 * `--through resource`, it is a statement of the secret's resource policy, whose other bytes stay.
 */
import {
  type AccessEdit,
  type AccessEntry,
  accessPlan,
  type AccessPlan,
  type AccessVerdict,
  type AccessWish,
  digestOf,
  type NativePolicy,
  type Purpose,
} from '../../core/access/plan.ts';
import { changedMeanwhile } from '../../core/access/refusals.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import type { CallOptions } from '../call.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import type { ProviderContext } from '../descriptor.ts';
import { statementsIn, withoutStatement, withStatement } from './access-document.ts';
import { decide, type NamedPolicy, NOTHING, type Question, tally, type Tally } from './access-evaluate.ts';
import {
  type Inline,
  inlineWith,
  managed,
  policiesOf,
  readInline,
  simulate,
  writeInline,
} from './access-iam.ts';
import { type AwsPrincipal, findPrincipal } from './access-principals.ts';
import { policyFor } from './access-needs.ts';
import { inlineEntry, resourceEntries } from './access-entries.ts';
import { AwsResourcePolicy, secretsIn } from './access-resource.ts';
import { isOurs, isSame, readStatement, SID } from './access-statement.ts';
import type { AwsService } from './service.ts';

/** What the names of our inline policies start with. */
const OURS = 'secrets-access-';
/** A principal's path may contain colons, and the word of another kind: only the sixth part says what it is. */
const INLINE = /^(arn:[^ :]+:iam::\d{12}:(role|user|group)\/(?:[^ ]*\/)?([^ /]+)) inline policy ([^ ]+)$/;
const PARALLEL = 8;
/** A writer that read the resource policy before us has written it by then. */
const SETTLE_MS = 300;

/** The secret that a grant is for. */
interface Secret {
  readonly arn: string;
  readonly account: string;
  readonly partition: string;
  readonly key: string | undefined;
}

export interface AwsNames {
  readonly prefix: string;
  /** The id of a secret for AWS. @throws SecretsError Invalid */
  readonly idOf: (name: string) => string;
}

export class AwsAccess implements AccessControl {
  readonly #service: AwsService;
  readonly #context: ProviderContext;
  readonly #names: AwsNames;
  readonly #resource: AwsResourcePolicy;

  constructor(service: AwsService, context: ProviderContext, names: AwsNames) {
    this.#service = service;
    this.#context = context;
    this.#names = names;
    this.#resource = new AwsResourcePolicy(service);
  }

  async plan(wish: AccessWish, { signal }: CallOptions): Promise<AccessPlan> {
    const secret = await this.#secret(wish.name, signal);
    const { broad } = wish.change === 'grant' ? wish : { broad: true };
    const found = await findPrincipal(
      this.#service,
      wish.principal,
      { home: secret.account, partition: secret.partition, broad },
      signal,
    );
    const places = placesFor(found, wish);
    const edits: AccessEdit[] = [];
    if (places.identity) edits.push(await this.#inlineEdit(secret, found, wish, signal));
    if (places.resource) edits.push(await this.#resourceEdit(secret, found, wish, signal));
    const plan = accessPlan({
      wish,
      principal: found.arn,
      edits,
      notes:
        wish.change === 'grant'
          ? [...notesOn(secret, found), ...(await this.#hindrances(secret, found, signal))]
          : [],
    });
    if (wish.change === 'revoke' && plan.edits.length > 0) await this.#refuseOwn(plan, secret, found, signal);
    return plan;
  }

  async apply({ edits }: AccessPlan, { signal }: CallOptions): Promise<void> {
    for (const { place, before, after } of edits) {
      // Neither IAM nor Secrets Manager has a compare-and-set for policies: the shortest possible time in between.
      if ((await this.#read(place, signal)) !== before) throw changedMeanwhile(`the ${place}`);
      const inline = inlineOf(place);
      if (inline !== undefined) await writeInline(this.#service, inline, after, signal);
      else await this.#resource.write(place, after, signal);
    }
  }

  settles({ edits }: AccessPlan): number | undefined {
    return edits.some(({ place }) => inlineOf(place) === undefined) ? SETTLE_MS : undefined;
  }

  /** Asks for a version that no secret has: AWS looks at the policies first, and gives no value out. */
  async ownAccess(name: string, { signal }: CallOptions): Promise<AccessVerdict['verdict']> {
    const SecretId = this.#names.idOf(name);
    try {
      await this.#service.read(signal, ({ sdk, client }, http) =>
        client.send(new sdk.GetSecretValueCommand({ SecretId, VersionStage: 'secrets-access-check' }), http),
      );
      return 'allowed';
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      return kind === 'NotFound' ? 'allowed' : kind === 'Denied' ? 'denied' : 'unknown';
    }
  }

  async policyFor(
    purpose: Purpose,
    names: readonly string[],
    { signal }: CallOptions,
  ): Promise<NativePolicy> {
    const secrets = await Promise.all(names.map((name) => this.#secret(name, signal)));
    return policyFor(
      purpose,
      secrets.map(({ arn }) => arn),
      secrets[0]?.partition ?? 'aws',
    );
  }

  async list(name: string | undefined, { signal }: CallOptions): Promise<readonly AccessEntry[]> {
    if (name !== undefined) {
      const { arn } = await this.#secret(name, signal);
      const inline = await inlineWith(this.#service, policyName(arn), signal);
      const text = await this.#resource.read(arn, signal);
      return [...inline.map((one) => inlineEntry(name, one)), ...resourceEntries(name, text)];
    }
    const secrets = await secretsIn(this.#service, this.#names.prefix, signal);
    const inline = await inlineWith(this.#service, OURS, signal);
    const byPolicy = new Map(secrets.map((one) => [policyName(one.arn), one.name]));
    const limit = pool(PARALLEL);
    const resource = await Promise.all(
      secrets.map((one) =>
        limit(async () => resourceEntries(one.name, await this.#resource.read(one.arn, signal))),
      ),
    );
    return [
      ...inline.flatMap((one) => {
        const known = byPolicy.get(one.policy);
        return known === undefined ? [] : [inlineEntry(known, one)];
      }),
      ...resource.flat().filter(({ ours }) => ours),
    ];
  }

  async check(name: string, principal: string, { signal }: CallOptions): Promise<AccessVerdict> {
    if (principal === 'self') {
      const { principal: arn } = await this.#service.identity(signal);
      const verdict = await this.ownAccess(name, { signal });
      const answer = { principal: arn, by: 'service' as const };
      const why = 'Secrets Manager answered a request without a value';
      // No value was decrypted. Who may not describe the secret isn't told its key.
      const key = verdict === 'allowed' ? await this.#keyOf(name, signal) : undefined;
      return key === undefined
        ? { ...answer, verdict, why }
        : { ...answer, verdict: 'unknown', why: `${why}; the key ${key} decides too` };
    }
    const secret = await this.#secret(name, signal);
    const context = { home: secret.account, partition: secret.partition, broad: true };
    const found = await findPrincipal(this.#service, principal, context, signal);
    const question = this.#question(secret, found);
    const resource = await this.#resourceTally(secret, question, signal);
    const answer = { principal: found.arn, by: 'policies' as const };
    if (found.isForeign || found.kind === 'account') {
      const { verdict, why } = decide([resource]);
      const more = found.isForeign ? 'its own account decides too' : 'each principal’s own policies decide';
      return {
        ...answer,
        verdict: verdict === 'denied' && found.isForeign ? verdict : 'unknown',
        why: `${why}; ${more}`,
      };
    }
    const simulated =
      found.kind === 'group' ? undefined : await simulate(this.#service, found.arn, question, signal);
    const own = simulated ?? tally(await policiesOf(this.#service, found, signal), question);
    const { verdict, why } = decide([own, resource]);
    const by = simulated === undefined ? 'policies' : 'service';
    const limits = verdict === 'allowed' ? await this.#limits(secret, found, question, signal) : undefined;
    return limits === undefined
      ? { principal: found.arn, verdict, why, by }
      : { principal: found.arn, verdict: 'unknown', why: `${why}; ${limits}`, by };
  }

  /** What keeps a principal out whatever is granted to it. */
  async #hindrances(secret: Secret, found: AwsPrincipal, signal: AbortSignal): Promise<readonly string[]> {
    const { boundary } = found;
    const limits = boundary === undefined ? [] : [`its permissions boundary ${boundary} must allow it too`];
    try {
      const { Deny } = await this.#resourceTally(secret, this.#question(secret, found), signal);
      if (Deny.yes.length > 0) return [...limits, 'the secret’s resource policy denies it, which wins'];
      return Deny.maybe.length > 0 ? [...limits, 'the secret’s resource policy may deny it'] : limits;
    } catch (thrown) {
      if (toSecretsError(thrown).kind === 'Denied') return limits;
      throw thrown;
    }
  }

  /** What may still keep somebody out whom the policies allow. */
  async #limits(
    { key }: Secret,
    { boundary, kind }: AwsPrincipal,
    question: Question,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (
      boundary !== undefined &&
      decide([tally([await managed(this.#service, boundary, signal)], question)]).verdict !== 'allowed'
    )
      return `its permissions boundary ${boundary} may not`;
    if (key !== undefined) return `the key ${key} decides too`;
    return kind === 'group' ? 'its members’ own policies count too' : undefined;
  }

  async #secret(name: string, signal: AbortSignal): Promise<Secret> {
    const SecretId = this.#names.idOf(name);
    const { ARN: arn = '', KmsKeyId: key } = await this.#service.read(signal, ({ sdk, client }, http) =>
      client.send(new sdk.DescribeSecretCommand({ SecretId }), http),
    );
    const [, partition = 'aws', account = ''] =
      /^arn:([^:]+):secretsmanager:[^:]*:(\d{12}):secret:/.exec(arn) ?? [];
    if (account === '')
      throw new SecretsError('Unavailable', 'AWS returned no ARN for this secret', {
        hint: 'check the endpoint',
      });
    const isOwnKey = key !== undefined && key !== '' && !key.endsWith('alias/aws/secretsmanager');
    return { arn, account, partition, key: isOwnKey ? key : undefined };
  }

  async #keyOf(name: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      return (await this.#secret(name, signal)).key;
    } catch (thrown) {
      if (toSecretsError(thrown).kind === 'Denied') return undefined;
      throw thrown;
    }
  }

  #question({ arn }: Secret, { arn: principal, account }: AwsPrincipal): Question {
    return { secret: arn, principal, account, now: this.#context.now() };
  }

  async #resourceTally(secret: Secret, question: Question, signal: AbortSignal): Promise<Tally> {
    const text = await this.#resource.read(secret.arn, signal);
    return text === undefined ? NOTHING : tally([{ title: 'its resource policy', text }], question, true);
  }

  async #inlineEdit(
    { arn }: Secret,
    { arn: owner, kind, name }: AwsPrincipal,
    { change, until }: AccessWish,
    signal: AbortSignal,
  ): Promise<AccessEdit> {
    const policy = policyName(arn);
    const before = await readInline(
      this.#service,
      { kind: kind as Inline['kind'], owner: name, policy },
      signal,
    );
    if (before !== undefined && !isOurs(statementsIn(before), { Sid: SID, Resource: arn }))
      throw edited(`the policy ${policy} of ${kind}/${name}`);
    const statement = readStatement({ Sid: SID, Resource: arn }, until);
    const text = JSON.stringify({ Version: '2012-10-17', Statement: [statement] }, null, 2);
    const keeps = before !== undefined && isSame(statementsIn(before)[0], statement);
    return {
      place: `${owner} inline policy ${policy}`,
      before,
      after: change === 'revoke' ? undefined : keeps ? before : text,
    };
  }

  async #resourceEdit(
    { arn }: Secret,
    found: AwsPrincipal,
    { change, until }: AccessWish,
    signal: AbortSignal,
  ): Promise<AccessEdit> {
    const before = await this.#resource.read(arn, signal);
    const sid = SID + digestOf(found.arn, 16);
    const parts = { Sid: sid, Principal: { AWS: found.arn }, Resource: '*' };
    const own = before === undefined ? [] : statementsIn(before).filter((one) => one['Sid'] === sid);
    if (own.length > 0 && !isOurs(own, parts)) throw edited(`the statement ${sid} of its resource policy`);
    const place = `${arn} resource policy`;
    const statement = readStatement(parts, until);
    if (change === 'grant' ? isSame(own[0], statement) : own.length === 0)
      return { place, before, after: before };
    const without = before === undefined || own.length === 0 ? before : withoutStatement(before, sid);
    return { place, before, after: change === 'grant' ? withStatement(without, statement) : without };
  }

  async #read(place: string, signal: AbortSignal): Promise<string | undefined> {
    const inline = inlineOf(place);
    return inline === undefined
      ? this.#resource.read(place.split(' ', 1)[0] ?? '', signal)
      : readInline(this.#service, inline, signal);
  }

  /** A revocation of one's own access takes a while until AWS shows it, so it is judged by what would be left. */
  async #refuseOwn(
    plan: AccessPlan,
    secret: Secret,
    found: AwsPrincipal,
    signal: AbortSignal,
  ): Promise<void> {
    const { principal: caller } = await this.#service.identity(signal);
    const session = /^arn:([^:]+):sts::(\d+):assumed-role\/([^/]+)\//.exec(caller);
    const isOwn =
      session === null ? caller === found.arn : found.kind === 'role' && found.name === session[3];
    if (!isOwn) return;
    const question = this.#question(secret, found);
    const gone = new Map(plan.edits.map(({ place, after }) => [place, after]));
    const policy = policyName(secret.arn);
    const own = (await policiesOf(this.#service, found, signal)).filter(
      ({ title }) => title !== `the policy ${policy} of ${found.kind}/${found.name}`,
    );
    const place = `${secret.arn} resource policy`;
    const text = gone.has(place) ? gone.get(place) : await this.#resource.read(secret.arn, signal);
    const resource: NamedPolicy[] = text === undefined ? [] : [{ title: 'its resource policy', text }];
    if (decide([tally(own, question), tally(resource, question, true)]).verdict !== 'denied') return;
    throw new SecretsError('Policy', 'you would no longer be able to read this secret', {
      hint: 'let somebody else make the change',
    });
  }
}

function placesFor(
  { kind, isForeign }: AwsPrincipal,
  { change, through }: AccessWish,
): { readonly identity: boolean; readonly resource: boolean } {
  if (through !== undefined && through !== 'identity' && through !== 'resource')
    throw new SecretsError('Usage', '--through must be identity or resource');
  const [canIdentity, canResource] = [!isForeign && kind !== 'account', kind !== 'group'];
  if (through === 'identity' && !canIdentity)
    throw new SecretsError(
      'Unsupported',
      'only a resource policy can name a principal of another account, or an account',
    );
  if (through === 'resource' && !canResource)
    throw new SecretsError('Unsupported', 'a resource policy can’t name a group', { hint: 'omit --through' });
  // Wherever the grant is.
  if (change === 'revoke' && through === undefined) return { identity: canIdentity, resource: canResource };
  return {
    identity: canIdentity && through !== 'resource',
    resource: !canIdentity || through === 'resource',
  };
}

function notesOn({ key }: Secret, { isForeign, kind }: AwsPrincipal): readonly string[] {
  return [
    ...(key === undefined ? [] : [`the principal also needs kms:Decrypt with the key ${key}`]),
    ...(isForeign && key === undefined
      ? ['another account can’t use AWS’s own key: encrypt the secret with a key that it may use']
      : []),
    ...(isForeign || kind === 'account' ? ['the principal’s own policies must allow it too'] : []),
  ];
}

function policyName(secretArn: string): string {
  return OURS + digestOf(secretArn, 16);
}

function inlineOf(place: string): Inline | undefined {
  const [, , kind, owner, policy] = INLINE.exec(place) ?? [];
  return policy === undefined ? undefined : { kind: kind as Inline['kind'], owner: owner as string, policy };
}

function edited(what: string): SecretsError {
  return new SecretsError('Conflict', `${what} is not as secrets wrote it`, {
    hint: 'see who changed it, and remove it by hand',
  });
}
