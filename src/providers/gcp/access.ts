/**
 * Grants in Google Secret Manager: bindings of the secret's own IAM policy. Each grant is a binding of its own, told
 * from others by the title of its condition. The policy is one document: it is written with the etag of the one that
 * was read, and every other binding goes back as it came.
 *
 * Sources: https://cloud.google.com/iam/docs/policies, https://cloud.google.com/iam/docs/conditions-overview,
 * https://cloud.google.com/secret-manager/docs/access-control
 */
import {
  type AccessEntry,
  accessPlan,
  type AccessPlan,
  type AccessVerdict,
  type AccessWish,
} from '../../core/access/plan.ts';
import { changedMeanwhile, notAsWritten, refuseThrough } from '../../core/access/refusals.ts';
import { SecretsError } from '../../core/errors.ts';
import { pool } from '../../core/waiting.ts';
import type { CallOptions } from '../call.ts';
import type { AccessControl } from '../capabilities/grants.ts';
import {
  type Binding,
  bindingFor,
  conditionOf,
  grantTo,
  isOurs,
  policyText,
  readBindings,
} from './bindings.ts';
import { CODE, codeUnder } from './errors.ts';
import { breadthOf, READS } from './grants.ts';
import { lastPart, PENDING_SUFFIX } from './names.ts';
import { memberOf } from './principals.ts';
import type { GcpStore } from './store.ts';

const READ = 'secretmanager.versions.access';
/** Google's roles that include it for certain: not Editor, which has had no access to values. */
const KNOWN = /^roles\/(?:secretmanager\.(?:secretAccessor|admin)|owner)$/;
const PARALLEL = 8;

interface Policy {
  readonly version?: number | null;
  readonly etag?: unknown;
  readonly bindings: readonly Binding[];
}

export class GcpAccess implements AccessControl {
  readonly #store: GcpStore;
  readonly #prefix: string;
  readonly #idOf: (name: string) => string;
  readonly #now: () => Date;

  constructor(
    store: GcpStore,
    place: { readonly prefix: string; readonly idOf: (name: string) => string },
    now: () => Date,
  ) {
    this.#store = store;
    this.#prefix = place.prefix;
    this.#idOf = place.idOf;
    this.#now = now;
  }

  async plan(wish: AccessWish, { signal }: CallOptions): Promise<AccessPlan> {
    refuseThrough(wish, 'Google has one kind of policy for secrets');
    const resource = await this.#resource(wish.name, signal);
    const isGrant = wish.change === 'grant';
    const project = await this.#store.service.project(signal);
    // A broad grant can be taken back without saying so again.
    const member = memberOf(wish.principal, project, wish.broad === true || !isGrant);
    const { bindings } = await this.#read(resource, signal);
    const wanted = isGrant ? bindingFor(member, wish.until) : undefined;
    for (const binding of bindings)
      if (isOurs(binding) && grantTo(binding, member) && binding.members.length > 1)
        throw notAsWritten(`a binding for ${member}`, 'gcloud secrets get-iam-policy');
    const isMade = (binding: Binding): boolean => isOurs(binding) && grantTo(binding, member);
    const isThere =
      wanted !== undefined && bindings.some((one) => policyText([one]) === policyText([wanted]));
    const left = bindings.filter((binding) => !isMade(binding));
    const after = isThere ? bindings : wanted === undefined ? left : [...left, wanted];
    return accessPlan({
      wish,
      principal: member,
      edits: [{ place: placeOf(resource), before: policyText(bindings), after: policyText(after) }],
      notes: ['Google can take some minutes until a change of a policy is in effect'],
    });
  }

  async apply({ wish, edits }: AccessPlan, { signal }: CallOptions): Promise<void> {
    const resource = await this.#resource(wish.name, signal);
    for (const { place, before, after = '' } of edits) {
      const now = await this.#read(resource, signal);
      const changed = changedMeanwhile(place);
      if (place !== placeOf(resource) || policyText(now.bindings) !== before) throw changed;
      const { bindings } = JSON.parse(after) as { readonly bindings: readonly Binding[] };
      if (((now.etag ?? '') as { readonly length: number }).length === 0)
        throw new SecretsError('Unsupported', 'the server has no etags of policies', {
          hint: 'without them, changes of others could be lost',
        });
      const version = bindings.some(({ condition }) => condition !== undefined) ? 3 : (now.version ?? 1);
      const policy = { ...now, version, bindings };
      await this.#store.service
        .call('setIamPolicy', { resource, policy }, signal)
        .catch((thrown: unknown) => {
          const isMeanwhile = codeUnder(thrown) === CODE.ABORTED;
          throw isMeanwhile ? changed : thrown;
        });
    }
  }

  settles(): undefined {
    return undefined;
  }

  async ownAccess(name: string, { signal }: CallOptions): Promise<AccessVerdict['verdict']> {
    const granted = await this.#store.granted(this.#idOf(name), [READ], signal);
    return granted.has(READ) ? 'allowed' : 'denied';
  }

  async list(name: string | undefined, { signal }: CallOptions): Promise<readonly AccessEntry[]> {
    if (name !== undefined) return this.#entries(name, signal);
    const names: string[] = [];
    for await (const { name: full } of this.#store.secrets(this.#prefix, signal)) {
      const id = lastPart(full);
      if (id.startsWith(this.#prefix) && id !== this.#prefix && !id.endsWith(PENDING_SUFFIX))
        names.push(id.slice(this.#prefix.length));
    }
    const limit = pool(PARALLEL);
    const found = await Promise.all(names.map((one) => limit(() => this.#entries(one, signal))));
    return found.flat().filter(({ ours }) => ours);
  }

  async check(name: string, principal: string, { signal }: CallOptions): Promise<AccessVerdict> {
    if (principal === 'self') {
      const verdict = await this.ownAccess(name, { signal });
      const { principal: title } = await this.#store.service.identity(signal);
      return { principal: title, verdict, why: `testIamPermissions of ${READ}`, by: 'service' };
    }
    const resource = await this.#resource(name, signal);
    const member = memberOf(principal, await this.#store.service.project(signal), true);
    const { bindings } = await this.#read(resource, signal);
    const answer = { principal: member, by: 'policies' as const };
    let why = 'the secret’s own policy doesn’t let it read; the project’s policy and groups may';
    for (const binding of bindings) {
      const isKnown = KNOWN.test(binding.role);
      const isFor = binding.members.some((one) => one === member || isEverybody(one, member));
      if (!READS.test(binding.role) || !isFor) continue;
      const { holds, until } = conditionOf(binding, this.#now());
      if (holds === true && isKnown)
        return {
          ...answer,
          verdict: 'allowed',
          why: `${binding.role} on the secret, unless a deny policy forbids it`,
        };
      if (holds === false && until !== undefined)
        why = `its grant ended at ${until.toISOString()}; the project’s policy and groups may let it read`;
      else if (holds !== false)
        why = `${binding.role} on the secret depends on ${isKnown ? 'a condition' : 'what that role allows'}`;
    }
    return { ...answer, verdict: 'unknown', why };
  }

  async #entries(name: string, signal: AbortSignal): Promise<readonly AccessEntry[]> {
    const { bindings } = await this.#read(await this.#resource(name, signal), signal);
    return bindings.flatMap((binding) => {
      if (!READS.test(binding.role)) return [];
      const { holds, until } = conditionOf(binding, this.#now());
      return binding.members.map((principal) => ({
        secret: name,
        principal,
        ours: isOurs(binding) && grantTo(binding, principal),
        through: binding.role,
        breadth: breadthOf(principal),
        ...(until !== undefined && { until }),
        ...(holds === undefined && { conditional: true }),
      }));
    });
  }

  #resource(name: string, signal: AbortSignal): Promise<string> {
    return this.#store.name(this.#idOf(name), signal);
  }

  async #read(resource: string, signal: AbortSignal): Promise<Policy> {
    const options = { requestedPolicyVersion: 3 };
    const policy = await this.#store.service.call<Omit<Policy, 'bindings'> & { bindings?: unknown }>(
      'getIamPolicy',
      { resource, options },
      signal,
    );
    return { ...policy, bindings: readBindings(policy.bindings) };
  }
}

function placeOf(resource: string): string {
  return `${resource}: IAM policy`;
}

/** Whether a member of a policy stands for everybody of this kind. */
function isEverybody(binding: string, member: string): boolean {
  return binding === 'allUsers' || (binding === 'allAuthenticatedUsers' && /^(?:user|service)/.test(member));
}
