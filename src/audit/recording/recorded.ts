/**
 * A provider that records every access. `openChain` wraps each provider in it, so that no command can forget to
 * record. Loaded on every start, so it imports no library.
 */
import type { AuditAction } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { type Link, linked } from '../../providers/link.ts';
import type { GetResult, Provider } from '../../providers/provider.ts';
import type { AccessPlan } from '../../core/access/plan.ts';
import type { AuditGrant } from '../../core/audit/record.ts';
import type { AccessControl } from '../../providers/capabilities/grants.ts';
import type { NativeRotations } from '../../providers/capabilities/rotation.ts';
import { PollDedup } from './poll-dedup.ts';
import { type AccessDetails, reads } from './reads.ts';
import type { AccessRecorder } from './recorder.ts';

/** A store's provider, and the recorder of its accesses. */
interface RecordedStore {
  readonly provider: Provider;
  readonly recorder: AccessRecorder;
  readonly store: string;
  readonly kind: string;
  /** Called after each change, also after one that failed, which may have been made. */
  readonly changed?: (() => Promise<void>) | undefined;
  /** The policies that permitted the last such access; missing without policies. */
  readonly permits?:
    | ((action: AuditAction, secret: string | undefined) => readonly string[] | undefined)
    | undefined;
  /** Set for polling; see `forPolling`. */
  readonly dedup?: PollDedup;
}

/** How a method is recorded; `undefined` if it touches no secret. */
const recording: Link<RecordedStore> = {
  checkName: undefined,
  prepare: undefined,
  identity: undefined,
  knownIdentity: undefined,
  diagnose: undefined,
  keepAlive: undefined,
  // Reading a service's trail is no access to a secret; that the policies deny it is recorded.
  trail: (recordedStore, trail) =>
    async function* (query, options) {
      const started = milliseconds();
      try {
        yield* trail(query, options);
      } catch (thrown) {
        if (toSecretsError(thrown).kind !== 'Policy') throw thrown;
        await failed(recordedStore, started, { action: 'describe', secret: query.name }, thrown);
      }
    },
  nativeId: undefined,
  checkRights: undefined,
  nativeRotation: (recordedStore, load) => async () => recordedNative(recordedStore, await load()),
  accessControl: (recordedStore, load) => async () => recordedControl(recordedStore, await load()),
  close: undefined,
  get: (recordedStore, get) => async (requests, options) => {
    const started = milliseconds();
    const asked = requests.map(({ name, version, stage }) => ({ name, version, stage }));
    let answers: readonly GetResult[];
    try {
      answers = await get(asked, options);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      await note(
        recordedStore,
        started,
        reads(
          requests,
          requests.map(() => ({ ok: false, error })),
        ),
      );
      throw thrown;
    }
    await note(recordedStore, started, reads(requests, answers));
    return answers;
  },
  put:
    (recordedStore, put) =>
    (name, { keys, ...write }, options) =>
      change(
        recordedStore,
        { action: 'write', secret: name, stage: write.stage === 'pending' ? 'pending' : undefined, keys },
        () => put(name, write, options),
      ),
  list: (recordedStore, list) => (query, options) =>
    stream(recordedStore, { action: 'list', secret: query.prefix || undefined }, () => list(query, options), {
      method: 'list',
      signal: options.signal,
      compared: ({ name }) => name,
    }),
  delete: (recordedStore, remove) => (name, query, options) =>
    change(recordedStore, { action: 'delete', secret: name }, () => remove(name, query, options)),
  describe: (recordedStore, describe) => (name, options) =>
    inspect(recordedStore, name, () => describe(name, options), {
      method: 'describe',
      signal: options.signal,
      compared: ({ currentVersion, createdAt, deletedAt }) => [currentVersion, createdAt, deletedAt],
    }),
  grants: (recordedStore, grants) => (name, options) =>
    inspect(recordedStore, name, () => grants(name, options)),
  history: (recordedStore, history) => (name, options) =>
    stream(recordedStore, { action: 'describe', secret: name }, () => history(name, options), {
      method: 'history',
      signal: options.signal,
      compared: ({ id, stages }) => [id, stages],
    }),
  makeCurrent: (recordedStore, makeCurrent) => (name, version, options) =>
    change(recordedStore, { action: 'promote', secret: name, version }, () =>
      makeCurrent(name, version, options),
    ),
  restore: (recordedStore, restore) => (name, options) =>
    change(recordedStore, { action: 'restore', secret: name }, () => restore(name, options)),
  purge: (recordedStore, purge) => (name, version, options) =>
    change(recordedStore, { action: 'purge', secret: name, version }, () => purge(name, version, options)),
  rekey: (recordedStore, rekey) => (to, options) =>
    change(recordedStore, { action: 'rekey' }, () => rekey(to, options)),
  setLabels: (recordedStore, setLabels) => (name, labels, options) =>
    change(recordedStore, { action: 'label', secret: name }, () => setLabels(name, labels, options)),
};

/** The service's own rotation: reads, settings and starts are recorded; waiting for its end isn't. */
function recordedNative(recordedStore: RecordedStore, native: NativeRotations): NativeRotations {
  const { start, watch } = native;
  return {
    read: (name, options) => inspect(recordedStore, name, () => native.read(name, options)),
    plan: (name, wish, options) => inspect(recordedStore, name, () => native.plan(name, wish, options)),
    set: (name, wish, options) =>
      change(recordedStore, { action: 'other', secret: name }, () => native.set(name, wish, options)),
    remove: (name, options) =>
      change(recordedStore, { action: 'other', secret: name }, () => native.remove(name, options)),
    ...(start !== undefined && {
      start: (name, wish, token, options) =>
        change(recordedStore, { action: 'rotate', secret: name }, () =>
          start.call(native, name, wish, token, options),
        ),
    }),
    ...(watch !== undefined && { watch: watch.bind(native) }),
  };
}

/** Changes of policies are recorded with what they change; looking at policies as looking at the secret. */
function recordedControl(recordedStore: RecordedStore, control: AccessControl): AccessControl {
  const { policyFor } = control;
  return {
    plan: async (wish, options) => {
      const started = milliseconds();
      const { change, name: secret, principal } = wish;
      const plan = await control.plan(wish, options).catch((thrown: unknown) =>
        // It didn't come to a change, and this is what was refused.
        failed(recordedStore, started, { action: 'access', secret, grant: { change, principal } }, thrown),
      );
      await note(recordedStore, started, [{ action: 'describe', secret }]);
      return plan;
    },
    apply: (plan, options) =>
      change(recordedStore, { action: 'access', secret: plan.wish.name, grant: grantOf(plan) }, () =>
        control.apply(plan, options),
      ),
    list: (name, options) => inspect(recordedStore, name, () => control.list(name, options)),
    check: (name, principal, options) =>
      inspect(recordedStore, name, () => control.check(name, principal, options)),
    ...(policyFor !== undefined && {
      policyFor: async (purpose, names, options) => {
        const started = milliseconds();
        const details = names.map((secret) => ({ action: 'describe', secret }) as const);
        const noted: readonly AccessDetails[] = details.length === 0 ? [{ action: 'list' }] : details;
        const found = await policyFor
          .call(control, purpose, names, options)
          .catch(async (thrown: unknown) => {
            const error = toSecretsError(thrown);
            await note(
              recordedStore,
              started,
              noted.map((one) => ({ ...one, error })),
            );
            throw thrown;
          });
        await note(recordedStore, started, noted);
        return found;
      },
    }),
    ownAccess: control.ownAccess.bind(control),
    settles: control.settles.bind(control),
  };
}

function grantOf({ wish: { change, until }, principal, before, after }: AccessPlan): AuditGrant {
  return { change, principal, before, after, ...(until !== undefined && { until: until.toISOString() }) };
}

/** What each wrapped provider was made from. */
const made = new WeakMap<Provider, RecordedStore>();

/**
 * The same store for polling: a poll that finds the same as the previous one isn't recorded. Reading values and
 * changing anything always is.
 */
export function forPolling(provider: Provider): Provider {
  const recordedStore = made.get(provider);
  return recordedStore === undefined ? provider : recorded({ ...recordedStore, dedup: new PollDedup() });
}

/** Wraps the provider so that every access is recorded. It has the same methods as before. */
export function recorded(recordedStore: RecordedStore): Provider {
  const proxy = linked(recordedStore.provider, recording, recordedStore);
  made.set(proxy, recordedStore);
  return proxy;
}

/** From a monotonic clock. Not `performance`, whose module every start would have to load. */
function milliseconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

async function note(
  { provider, recorder, store, kind, permits }: RecordedStore,
  started: number,
  details: readonly AccessDetails[],
): Promise<void> {
  const identity = provider.knownIdentity?.();
  const durationMs = milliseconds() - started;
  await recorder.record(
    details.map((one) => ({
      ...one,
      ...(permits !== undefined && { policies: permits(one.action, one.secret) }),
      store,
      provider: kind,
      identity,
      durationMs,
    })),
  );
}

/** How a poll is compared with the previous one. */
interface Poll<T> {
  readonly method: string;
  readonly signal: AbortSignal;
  /** The part of the result that is compared. */
  readonly compared: (found: T) => unknown;
}

/** Records a poll, unless it repeats the previous one. */
async function notePoll<T>(
  recordedStore: RecordedStore,
  started: number,
  details: AccessDetails,
  poll: Poll<T> | undefined,
  ...found: readonly T[]
): Promise<void> {
  const record = (): Promise<void> => note(recordedStore, started, [details]);
  const { dedup } = recordedStore;
  if (dedup === undefined || poll === undefined) return record();
  const { method, signal, compared } = poll;
  // The watch is over and aborted the poll, so it found nothing.
  if (details.error !== undefined && (signal.reason as Error | undefined)?.name === 'AbortError')
    return undefined;
  return dedup.record([method, details.secret], details.error?.kind ?? found.map(compared), record);
}

/** Records a failure and rethrows it. If recording fails too, the error names both. */
async function failed(
  recordedStore: RecordedStore,
  started: number,
  details: AccessDetails,
  thrown: unknown,
  poll?: Poll<never>,
): Promise<never> {
  const error = toSecretsError(thrown);
  await notePoll(recordedStore, started, { ...details, error }, poll).catch((unwritten: unknown) => {
    const { kind, message, hint } = toSecretsError(unwritten);
    throw new SecretsError(kind, `${message}; and the access failed: ${error.message}`, {
      hint,
      cause: thrown,
    });
  });
  throw thrown;
}

async function inspect<T>(
  recordedStore: RecordedStore,
  secret: string | undefined,
  work: () => Promise<T>,
  poll?: Poll<T>,
): Promise<T> {
  const started = milliseconds();
  // Of a whole store: names are what comes out.
  const details = { action: secret === undefined ? 'list' : 'describe', secret } as const;
  const found = await work().catch((thrown: unknown) =>
    failed(recordedStore, started, details, thrown, poll),
  );
  await notePoll(recordedStore, started, details, poll, found);
  return found;
}

async function change<T>(
  recordedStore: RecordedStore,
  details: AccessDetails,
  work: () => Promise<T>,
): Promise<T> {
  const { provider, recorder, store, kind } = recordedStore;
  const identity = provider.knownIdentity?.();
  const intent = await recorder.intend({ ...details, store, provider: kind, identity });
  const started = milliseconds();
  let result: T;
  try {
    result = await work();
  } catch (thrown) {
    await recordedStore.changed?.();
    return failed(recordedStore, started, { ...details, intent }, thrown);
  }
  await recordedStore.changed?.();
  const { id: version = details.version, requestId } = (result ?? {}) as { id?: string; requestId?: string };
  try {
    await note(recordedStore, started, [{ ...details, version, requestId, intent }]);
  } catch (thrown) {
    // The recorder's hint assumes that nothing was done, but the change was made.
    const { kind, message } = toSecretsError(thrown);
    throw new SecretsError(kind, `the change was made, and its outcome is not recorded: ${message}`, {
      hint: 'repair the log; do not repeat the change',
      cause: thrown,
    });
  }
  return result;
}

/**
 * Records before yielding the first item, because everything after it belongs to the same listing. A poll is recorded
 * after the last item, when it can be compared.
 */
async function* stream<T>(
  recordedStore: RecordedStore,
  details: AccessDetails,
  open: () => AsyncIterable<T>,
  poll: Poll<T>,
): AsyncGenerator<T> {
  const started = milliseconds();
  const items = open()[Symbol.asyncIterator]();
  const isPoll = recordedStore.dedup !== undefined;
  const seen: T[] = [];
  let isRecorded = false;
  try {
    for (;;) {
      let step: IteratorResult<T>;
      try {
        step = await items.next();
      } catch (thrown) {
        isRecorded = true;
        return await failed(recordedStore, started, details, thrown, poll);
      }
      if (!isRecorded && !isPoll) await note(recordedStore, started, [details]);
      isRecorded = !isPoll;
      if (step.done === true) return;
      if (isPoll) seen.push(step.value);
      yield step.value;
    }
  } finally {
    await items.return?.();
    // A poll may stop early, once it has found what it looked for.
    if (!isRecorded) await notePoll(recordedStore, started, details, poll, ...seen);
  }
}
