/** Turns references and policies into rotations that can run: opens stores and targets, and applies the limits. */
import { dirname } from 'node:path';
import type { PolicyConfig } from '../config/config.ts';
import { parseDuration, parsePeriod } from '../core/duration.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type { Intent } from '../core/rotation/machine.ts';
import type { Target as SecretTarget } from '../session/resolver.ts';
import { pools } from '../core/waiting.ts';
import { sessionCredentials } from '../session/own-credentials.ts';
import type { Session } from '../session/session.ts';
import { xdgFolder } from '../platform/world.ts';
import { Engine } from './engine.ts';
import type { GenerateSettings, Generator } from './generator.ts';
import { openGenerator } from './generators/index.ts';
import { journalIn } from './journal.ts';
import { Watch } from './lease.ts';
import { type NativeJob, openNative } from './native-job.ts';
import { credentialOf, type SecretPlace } from './place.ts';
import { placeOf } from './places.ts';
import type { Outcome } from './run.ts';
import type { Target, TargetContext, TargetSettings } from './target.ts';
import { targets } from './targets/index.ts';

const DEFAULT_LEASE_MS = 300_000;
const DEFAULT_PARALLEL = 4;
const DEFAULT_PER_TARGET = 1;

/** One secret, ready to be rotated. */
export interface Job {
  readonly reference: string;
  readonly place: SecretPlace;
  readonly target: Target;
  /** The kind of target, for messages. */
  readonly type: string;
  readonly generator: Generator;
  readonly keys: readonly string[];
  readonly graceMs: number;
  /** Whether the policy sets a grace period. */
  readonly hasGrace: boolean;
  readonly everyMs: number | undefined;
  readonly hasPolicy: boolean;
  /** The native rotation that the policy asks for. */
  readonly native: NativeJob | undefined;
}

export interface JobOptions {
  /** `--generate`: how to make the value, overriding the policy; allows a secret without a policy. */
  readonly generate?: string | undefined;
  /**
   * Allows a secret without a policy, to finish a rotation that `--generate` started. Has to be explicit: on a machine
   * without the policy, a value that the target never received would otherwise count as accepted.
   */
  readonly withoutTarget?: boolean;
}

export interface RunOptions {
  readonly intent: Intent;
  readonly takeOver: boolean;
  readonly wait: boolean;
  readonly toPrevious: boolean;
  /** Create a missing secret with its first value. */
  readonly create?: boolean;
  /** Clears what another rotation must not find, once it is certain that one can start. */
  readonly makeWay?: () => Promise<unknown>;
  readonly progress: (text: string) => void;
}

/** The ending of a rotation, for the audit log. */
export interface RotationResult {
  /** Missing if the rotation failed before the job was ready. */
  readonly job?: Job | undefined;
  /** The current version afterwards. */
  readonly version?: string | undefined;
  readonly error?: SecretsError | undefined;
}

/** Shared by all rotations of one command. */
export class Rotations {
  readonly #session: Session;
  readonly #watch: Watch;
  readonly #journal: ReturnType<typeof journalIn>;
  #perTarget: ReturnType<typeof pools> | undefined;
  /** Jobs that already count against the limit of their target. */
  readonly #inside = new Set<Job>();
  readonly #opened: Target[] = [];
  #policies: Promise<ReadonlyMap<string, PolicyConfig>> | undefined;

  constructor(session: Session) {
    this.#session = session;
    const folder = xdgFolder(session.world, 'state');
    this.#watch = new Watch(folder);
    this.#journal = journalIn(folder, (thrown) =>
      session.debug(`the rotation journal is not written: ${toSecretsError(thrown).message}`),
    );
  }

  /** Policies by the secret's reference, without a key. */
  policies(): Promise<ReadonlyMap<string, PolicyConfig>> {
    this.#policies ??= this.#loadPolicies();
    return this.#policies;
  }

  async #loadPolicies(): Promise<ReadonlyMap<string, PolicyConfig>> {
    const found = new Map<string, PolicyConfig>();
    const { policies } = await this.#session.config();
    for (const policy of policies.values()) {
      try {
        const whole = wholeSecret(await this.#session.target(policy.reference, false));
        found.set(whole.text, policy);
      } catch (thrown) {
        const { kind, message, hint } = toSecretsError(thrown);
        throw new SecretsError(kind, `${policy.file}:${policy.line}: ${message}`, { hint, cause: thrown });
      }
    }
    return found;
  }

  async bounds(): Promise<{ leaseMs: number; parallel: number; perTarget: number; jitterMs: number }> {
    const { rotation } = await this.#session.config();
    return {
      leaseMs: rotation.lease === undefined ? DEFAULT_LEASE_MS : parsePeriod(rotation.lease),
      parallel: rotation.parallel ?? DEFAULT_PARALLEL,
      perTarget: rotation['per-target'] ?? DEFAULT_PER_TARGET,
      jitterMs: rotation.jitter === undefined ? 0 : parsePeriod(rotation.jitter),
    };
  }

  /** @throws SecretsError Usage without a policy, Policy for one that is not trusted, Unsupported */
  async job(text: string, { generate, withoutTarget }: JobOptions = {}): Promise<Job> {
    const asked = await this.#session.target(text);
    const { key, version, stage } = asked.reference;
    if (version !== undefined || stage !== undefined)
      throw new SecretsError('Usage', 'rotate works on whole secrets', {
        reference: asked.text,
        hint: 'omit ?version= and ?stage=',
      });
    const whole = wholeSecret(asked);
    try {
      const policy = (await this.policies()).get(whole.text);
      if (policy === undefined && generate === undefined && withoutTarget !== true)
        throw new SecretsError('Usage', 'no rotation policy', {
          hint:
            withoutTarget === false
              ? 'go where its policy is, or say --without-target if no system has to be told of the value'
              : 'add one under `rotation:` in secrets.yaml, or name --generate for a value that no other system depends on',
        });
      if (policy?.untrusted !== undefined) {
        const { notTrusted } = await import('../config/trust.ts');
        throw notTrusted(`the policy of ${whole.text}`, policy.file, policy.untrusted);
      }
      return await this.#open(whole, key, policy, generate);
    } catch (thrown) {
      throw toSecretsError(thrown).forReference(whole.text);
    }
  }

  async #open(
    { text, store, native, reference }: SecretTarget,
    key: string | undefined,
    policy: PolicyConfig | undefined,
    generate: string | undefined,
  ): Promise<Job> {
    const settings = policy?.settings ?? {};
    const provider = await this.#session.open(store, native);
    provider.checkName(reference.name);
    const { provider: kind } = await this.#session.storeConfig(store);
    const nativeJob = await openNative(provider, kind, policy);
    if (nativeJob?.starts === true && generate !== undefined)
      throw new SecretsError(
        'Usage',
        'the policy lets the service create the new value, so --generate has no effect',
      );
    const { type = 'none', ...rest } = settings.target ?? {};
    const descriptor = targets.find((kind) => kind.type === type);
    if (descriptor === undefined) throw new TypeError('checked when it was read');
    const { open } = await descriptor.load();
    const target = open(rest as TargetSettings, await this.#targetContext(text, policy));
    this.#opened.push(target);
    const policyKey =
      policy === undefined ? undefined : (await this.#session.target(policy.reference, false)).reference.key;
    const ownKey = key ?? policyKey;
    return {
      reference: text,
      place: await placeOf(this.#session, provider, { text, name: reference.name }, settings.lock),
      target,
      type: String(type),
      generator: openGenerator(generate ?? (settings.generate as GenerateSettings | undefined)),
      keys: settings.keys ?? (ownKey === undefined ? [] : [ownKey]),
      graceMs: settings.grace === undefined ? 0 : parsePeriod(settings.grace),
      hasGrace: settings.grace !== undefined,
      everyMs: settings.every === undefined ? undefined : parsePeriod(settings.every),
      hasPolicy: policy !== undefined,
      native: nativeJob,
    };
  }

  async #targetContext(reference: string, policy: PolicyConfig | undefined): Promise<TargetContext> {
    const session = this.#session;
    const { env, home, cwd, now } = session.world;
    return {
      reference,
      env,
      home,
      folder: policy === undefined ? cwd : dirname(policy.file),
      now,
      warn: (message) => session.warn(`${reference}: ${message}`),
      debug: (message) => session.debug(`${reference}: ${message}`),
      read: async (text) => {
        const [answer] = await session.resolve([text]);
        if (answer === undefined) throw new TypeError('one was asked for');
        if (!answer.ok) throw answer.error;
        const { target, value } = answer;
        return target.reference.key === undefined ? credentialOf(value) : { value, fields: undefined };
      },
      credentialVariables: [...(await sessionCredentials(session))],
    };
  }

  /** Runs one rotation within the limit of its target. */
  async run(job: Job, options: RunOptions): Promise<Outcome> {
    const { leaseMs } = await this.bounds();
    const { session, watch, journal } = {
      session: this.#session,
      watch: this.#watch,
      journal: this.#journal,
    };
    const { timeout } = session.options;
    const { user = 'unknown', host } = session.world.names();
    const callMs = timeout === undefined ? 30_000 : parseDuration(timeout);
    const work = (): Promise<Outcome> =>
      new Engine({
        ...options,
        ...job,
        leaseMs,
        // A change may wait first for the fence and then for the row: both waits end, and are reported, before this
        // side's deadline.
        boundMs: Math.min(callMs, leaseMs / 2) / 3,
        host,
        user,
        now: session.world.now,
        // A call must not outlive the claim that it is made under.
        signal: () =>
          AbortSignal.any([AbortSignal.timeout(Math.min(callMs, leaseMs / 2)), session.interrupt.signal]),
        interrupt: session.interrupt.signal,
        watch,
        record: (event, rotation) => journal(job.reference, rotation, event),
        warn: (message) => session.warn(`${job.reference}: ${message}`),
      }).run();
    return this.within(job, work);
  }

  /** Runs work on the job's target within the limit of parallel jobs; calls may be nested. */
  async within<T>(job: Job, work: () => Promise<T>): Promise<T> {
    // The service limits its own work, and the value is not ours to read.
    if (job.native?.starts === true) return work();
    const limitKey = this.#inside.has(job)
      ? undefined
      : job.target.limitKey((await job.place.read()).current);
    if (limitKey === undefined) return work();
    const { perTarget } = await this.bounds();
    this.#perTarget ??= pools(perTarget);
    return this.#perTarget(`${job.type}\n${limitKey}`, async () => {
      this.#inside.add(job);
      try {
        return await work();
      } finally {
        this.#inside.delete(job);
      }
    });
  }

  /**
   * Records the result of a rotation, in addition to the records of its steps.
   * @throws SecretsError Policy when the log is `required` and can't be written
   */
  async record(text: string, startedMs: number, { job, version, error }: RotationResult): Promise<void> {
    // A wrong command line hasn't touched anything.
    if (job === undefined && error?.kind === 'Usage') return;
    const { store, reference } = wholeSecret(await this.#session.target(text, false));
    const { provider } = await this.#session.storeConfig(store);
    await this.#session.record({
      action: 'rotate',
      store,
      provider,
      secret: reference.name,
      version,
      keys: job?.keys.length === 0 ? undefined : job?.keys,
      error,
      identity: job?.place.provider.knownIdentity?.(),
      durationMs: Math.max(0, Date.now() - startedMs),
    });
  }

  /** How long this machine has seen this pending version. */
  seenFor(reference: string, pendingId: string): number {
    return this.#watch.seenFor(reference, pendingId);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#opened.map((target) => target.close()));
  }
}

/** The reference without its key. */
function wholeSecret(target: SecretTarget): SecretTarget {
  const hash = target.text.indexOf('#');
  return hash === -1 ? target : { ...target, text: target.text.slice(0, hash) };
}
