/**
 * A provider that records what is asked of it: `Session.open` gives each command such a one, so that no command can
 * forget to. In every start of the program, so it imports no library.
 */
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import type { GetResult, Provider, SecretRequest } from '../../providers/provider.ts';
import type { NativeRotations } from '../../providers/capabilities/rotation.ts';
import { Looks } from './poll-dedup.ts';
import type { Access, Recorder } from './recorder.ts';

/** A store's provider and where its records go. */
interface Watched {
  readonly provider: Provider;
  readonly recorder: Recorder;
  readonly store: string;
  readonly kind: string;
  /** For one who asks the same again and again. */
  readonly looks?: Looks;
}

type Methods = {
  [
    M in keyof Provider as NonNullable<Provider[M]> extends (...args: never[]) => unknown ? M : never
  ]-?: NonNullable<Provider[M]>;
};
/** How a method is recorded; `undefined`: it touches no secret. A new method has to say so here. */
type Recording = {
  readonly [M in keyof Methods]-?: ((watched: Watched, call: Methods[M]) => Methods[M]) | undefined;
};

const recording: Recording = {
  checkName: undefined,
  prepare: undefined,
  identity: undefined,
  knownIdentity: undefined,
  diagnose: undefined,
  keepAlive: undefined,
  trail: undefined,
  nativeId: undefined,
  checkRights: undefined,
  nativeRotation: (watched, load) => async () => recordedNative(watched, await load()),
  close: undefined,
  get: (watched, get) => async (requests, options) => {
    const started = milliseconds();
    const asked = requests.map(({ name, version, stage }) => ({ name, version, stage }));
    let answers: readonly GetResult[];
    try {
      answers = await get(asked, options);
    } catch (thrown) {
      const error = toSecretsError(thrown);
      await note(
        watched,
        started,
        reads(
          requests,
          requests.map(() => ({ ok: false, error })),
        ),
      );
      throw thrown;
    }
    await note(watched, started, reads(requests, answers));
    return answers;
  },
  put:
    (watched, put) =>
    (name, { keys, ...write }, options) =>
      change(
        watched,
        { action: 'write', secret: name, stage: write.stage === 'pending' ? 'pending' : undefined, keys },
        () => put(name, write, options),
      ),
  list: (watched, list) => (query, options) =>
    stream(watched, { action: 'list', secret: query.prefix || undefined }, () => list(query, options), {
      method: 'list',
      signal: options.signal,
      sight: ({ name }) => name,
    }),
  delete: (watched, remove) => (name, query, options) =>
    change(watched, { action: 'delete', secret: name }, () => remove(name, query, options)),
  describe: (watched, describe) => (name, options) =>
    look(watched, name, () => describe(name, options), {
      method: 'describe',
      signal: options.signal,
      sight: ({ currentVersion, createdAt, deletedAt }) => [currentVersion, createdAt, deletedAt],
    }),
  grants: (watched, grants) => (name, options) => look(watched, name, () => grants(name, options)),
  history: (watched, history) => (name, options) =>
    stream(watched, { action: 'describe', secret: name }, () => history(name, options), {
      method: 'history',
      signal: options.signal,
      sight: ({ id, stages }) => [id, stages],
    }),
  makeCurrent: (watched, makeCurrent) => (name, version, options) =>
    change(watched, { action: 'promote', secret: name, version }, () => makeCurrent(name, version, options)),
  restore: (watched, restore) => (name, options) =>
    change(watched, { action: 'restore', secret: name }, () => restore(name, options)),
  purge: (watched, purge) => (name, version, options) =>
    change(watched, { action: 'purge', secret: name, version }, () => purge(name, version, options)),
  rekey: (watched, rekey) => (to, options) => change(watched, { action: 'rekey' }, () => rekey(to, options)),
  setLabels: (watched, setLabels) => (name, labels, options) =>
    change(watched, { action: 'label', secret: name }, () => setLabels(name, labels, options)),
};

/** A rotation of the service's own: looks, settings and starts are recorded; the waiting for its end is not. */
function recordedNative(watched: Watched, native: NativeRotations): NativeRotations {
  const { start, watch } = native;
  return {
    read: (name, options) => look(watched, name, () => native.read(name, options)),
    plan: (name, wish, options) => look(watched, name, () => native.plan(name, wish, options)),
    set: (name, wish, options) =>
      change(watched, { action: 'other', secret: name }, () => native.set(name, wish, options)),
    remove: (name, options) =>
      change(watched, { action: 'other', secret: name }, () => native.remove(name, options)),
    ...(start !== undefined && {
      start: (name, wish, token, options) =>
        change(watched, { action: 'rotate', secret: name }, () =>
          start.call(native, name, wish, token, options),
        ),
    }),
    ...(watch !== undefined && { watch: watch.bind(native) }),
  };
}

/** What each provider with records was made of. */
const made = new WeakMap<Provider, Watched>();

/**
 * The same store for one who looks again and again whether anything is new: looks that find what the last one found
 * leave no record. Reads of values and changes always do.
 */
export function forLooks(provider: Provider): Provider {
  const watched = made.get(provider);
  return watched === undefined ? provider : recorded({ ...watched, looks: new Looks() });
}

/** The provider, with a record of every access. What it has and has not is as before. */
export function recorded(watched: Watched): Provider {
  const proxy = new Proxy(watched.provider, {
    // The object itself is asked, and its methods are called on it: it may have private fields.
    get(provider, name) {
      const value: unknown = Reflect.get(provider, name, provider);
      if (typeof value !== 'function') return value;
      const call: unknown = value.bind(provider);
      const wrap = Object.hasOwn(recording, name) ? recording[name as keyof Methods] : undefined;
      return wrap === undefined ? call : (wrap as (of: Watched, method: unknown) => unknown)(watched, call);
    },
  });
  made.set(proxy, watched);
  return proxy;
}

/** Of a clock that nobody sets. Not `performance`, whose module every start would load. */
function milliseconds(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

type Told = Omit<Access, 'store' | 'provider' | 'identity' | 'durationMs'>;

async function note(
  { provider, recorder, store, kind }: Watched,
  started: number,
  told: readonly Told[],
): Promise<void> {
  const identity = provider.knownIdentity?.();
  const durationMs = milliseconds() - started;
  await recorder.record(told.map((one) => ({ ...one, store, provider: kind, identity, durationMs })));
}

/** How a look is compared with the one before it. */
interface Looking<T> {
  readonly method: string;
  readonly signal: AbortSignal;
  /** What of its answer counts. */
  readonly sight: (found: T) => unknown;
}

/** A look's record, unless it is the repetition of one. */
async function noteLook<T>(
  watched: Watched,
  started: number,
  told: Told,
  looking: Looking<T> | undefined,
  ...found: readonly T[]
): Promise<void> {
  const record = (): Promise<void> => note(watched, started, [told]);
  const { looks } = watched;
  if (looks === undefined || looking === undefined) return record();
  const { method, signal, sight } = looking;
  // One that nobody waits for any more, since the watch is over, has found nothing.
  if (told.error !== undefined && (signal.reason as Error | undefined)?.name === 'AbortError')
    return undefined;
  return looks.tell([method, told.secret], told.error?.kind ?? found.map(sight), record);
}

/** One record for each secret and version of it that was asked for. */
function reads(requests: readonly SecretRequest[], answers: readonly GetResult[]): readonly Told[] {
  const told = new Map<string, Told>();
  for (const [index, { name, version, stage, keys }] of requests.entries()) {
    const answer = answers[index];
    const id = JSON.stringify([name, version, stage]);
    if (answer === undefined || told.has(id)) continue;
    told.set(id, {
      action: 'read',
      secret: name,
      version: answer.ok ? answer.secret.id : version,
      stage,
      keys,
      requestId: answer.ok ? answer.secret.requestId : undefined,
      error: answer.ok ? undefined : answer.error,
    });
  }
  return [...told.values()];
}

/** A failure is recorded and thrown; where that fails too, both are told. */
async function failed(
  watched: Watched,
  started: number,
  told: Told,
  thrown: unknown,
  looking?: Looking<never>,
): Promise<never> {
  const error = toSecretsError(thrown);
  await noteLook(watched, started, { ...told, error }, looking).catch((unwritten: unknown) => {
    const { kind, message, hint } = toSecretsError(unwritten);
    throw new SecretsError(kind, `${message}; and the access failed: ${error.message}`, {
      hint,
      cause: thrown,
    });
  });
  throw thrown;
}

async function look<T>(
  watched: Watched,
  secret: string,
  work: () => Promise<T>,
  looking?: Looking<T>,
): Promise<T> {
  const started = milliseconds();
  const told = { action: 'describe', secret } as const;
  const found = await work().catch((thrown: unknown) => failed(watched, started, told, thrown, looking));
  await noteLook(watched, started, told, looking, found);
  return found;
}

async function change<T>(watched: Watched, told: Told, work: () => Promise<T>): Promise<T> {
  const { provider, recorder, store, kind } = watched;
  const identity = provider.knownIdentity?.();
  const intent = await recorder.intend({ ...told, store, provider: kind, identity });
  const started = milliseconds();
  let result: T;
  try {
    result = await work();
  } catch (thrown) {
    return failed(watched, started, { ...told, intent }, thrown);
  }
  const { id: version = told.version, requestId } = (result ?? {}) as { id?: string; requestId?: string };
  try {
    await note(watched, started, [{ ...told, version, requestId, intent }]);
  } catch (thrown) {
    // Its hint is about what was not done; here something was.
    const { kind, message } = toSecretsError(thrown);
    throw new SecretsError(kind, `the change was made, and its outcome is not recorded: ${message}`, {
      hint: 'mend the log; do not repeat the change',
      cause: thrown,
    });
  }
  return result;
}

/**
 * The record is made before the first item is given out: what follows belongs to the same listing. Of one among many
 * looks it is made after the last, when it can be compared.
 */
async function* stream<T>(
  watched: Watched,
  told: Told,
  open: () => AsyncIterable<T>,
  looking: Looking<T>,
): AsyncGenerator<T> {
  const started = milliseconds();
  const items = open()[Symbol.asyncIterator]();
  const isLook = watched.looks !== undefined;
  const seen: T[] = [];
  let isTold = false;
  try {
    for (;;) {
      let step: IteratorResult<T>;
      try {
        step = await items.next();
      } catch (thrown) {
        isTold = true;
        return await failed(watched, started, told, thrown, looking);
      }
      if (!isTold && !isLook) await note(watched, started, [told]);
      isTold = !isLook;
      if (step.done === true) return;
      if (isLook) seen.push(step.value);
      yield step.value;
    }
  } finally {
    await items.return?.();
    // Whoever looks may stop at what it looked for.
    if (!isTold) await noteLook(watched, started, told, looking, ...seen);
  }
}
