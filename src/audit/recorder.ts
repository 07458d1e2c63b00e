/**
 * Every command's accesses as records: `Session.open` gives each command a provider that records what is asked of it,
 * so that no command can forget to. In every start of the program, so it imports no library.
 */
import type { AuditAction, AuditActor, AuditEvent, AuditLog } from '../core/audit.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import type {
  GetResult,
  KnownIdentity,
  NativeRotations,
  Provider,
  SecretRequest,
} from '../providers/provider.ts';
import type { AuditSettings } from './settings.ts';
import { isoTime } from './time.ts';

/** What is the same in every record of a command. */
export interface Circumstances {
  readonly command: string;
  readonly user: string | undefined;
  readonly uid: number | undefined;
  readonly host: string;
  readonly pid: number;
  readonly reason: string | undefined;
}

/** What one record is about. */
export interface Access {
  readonly action: AuditAction;
  readonly store: string;
  readonly provider?: string | undefined;
  readonly secret?: string | undefined;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly requestId?: string | undefined;
  /** Missing: it was allowed. */
  readonly error?: SecretsError | undefined;
  readonly identity?: KnownIdentity | undefined;
  readonly durationMs?: number | undefined;
}

/** Longest text of a record, in UTF-16 units: what was typed as a reference may be of any length. */
const MAX_TEXT = 2048;
const MAX_KEYS = 64;

/** Writes what a command does into the log, as strictly as its mode says. */
export class Recorder {
  readonly #log: AuditLog;
  readonly #settings: AuditSettings;
  readonly #circumstances: Circumstances;
  readonly #now: () => Date;
  readonly #warn: (message: string) => void;
  #waiting: AuditEvent[] = [];
  #next: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #off: Promise<void> | undefined;
  #warned = false;
  #broken: SecretsError | undefined;

  constructor(
    log: AuditLog,
    settings: AuditSettings,
    circumstances: Circumstances,
    { now, warn }: { readonly now: () => Date; readonly warn: (message: string) => void },
  ) {
    this.#log = log;
    this.#settings = settings;
    this.#circumstances = circumstances;
    this.#now = now;
    this.#warn = warn;
  }

  /** Before a change: with `required`, that it can be recorded. @throws SecretsError Policy */
  async ready(): Promise<void> {
    if (this.#settings.log !== 'required') return;
    // Once a record could not be written, nothing more is changed.
    if (this.#broken !== undefined) throw this.#broken;
    await this.#log.ready();
  }

  /**
   * Records what was done, all of it as one write. With `required` it is durable when this resolves.
   * @throws SecretsError Policy, with `required` only
   */
  async record(accesses: readonly Access[]): Promise<void> {
    if (accesses.length === 0) return;
    const { log } = this.#settings;
    if (log === 'off') {
      // Whoever turned the log off need not be able to write it.
      this.#off ??= this.#log.appendMode('off', this.#event({ action: 'other', store: '' })).catch(() => {});
      return this.#off;
    }
    try {
      await this.#append(accesses.map((access) => this.#event(access)));
    } catch (thrown) {
      if (log === 'required') throw (this.#broken = toSecretsError(thrown));
      if (!this.#warned) this.#warn(`this access is not recorded: ${toSecretsError(thrown).message}`);
      this.#warned = true;
    }
  }

  /** One write at a time; what comes meanwhile goes into the next. */
  #append(events: readonly AuditEvent[]): Promise<void> {
    this.#waiting.push(...events);
    this.#next ??= this.#last.then(() => {
      const batch = this.#waiting;
      this.#waiting = [];
      this.#next = undefined;
      return this.#log.append(batch);
    });
    const written = this.#next;
    this.#last = written.catch(() => {});
    return written;
  }

  #event(access: Access): AuditEvent {
    const { user, uid, command, host, pid, reason } = this.#circumstances;
    const { action, store, provider, secret, version, stage, keys, requestId, error, identity, durationMs } =
      access;
    const actor: { -readonly [K in keyof AuditActor]: AuditActor[K] } = {};
    if (user !== undefined) actor.user = user;
    if (uid !== undefined) actor.uid = uid;
    if (identity?.principal !== undefined) actor.principal = bounded(identity.principal);
    if (identity?.source !== undefined) actor.source = bounded(identity.source);
    const event: { -readonly [K in keyof AuditEvent]: AuditEvent[K] } = {
      time: isoTime(this.#now().getTime()),
      origin: 'secrets',
      action,
      outcome: error === undefined ? 'allowed' : REFUSALS.has(error.kind) ? 'denied' : 'failed',
      actor,
      command,
      host,
      pid,
    };
    if (error !== undefined) event.error = error.kind;
    if (store !== '') event.store = bounded(store);
    if (provider !== undefined) event.provider = provider;
    if (secret !== undefined) event.secret = bounded(secret);
    if (version !== undefined) event.version = bounded(version);
    if (stage !== undefined) event.stage = bounded(stage);
    if (keys !== undefined) event.keys = keys.slice(0, MAX_KEYS).map(bounded);
    if (reason !== undefined) event.reason = reason;
    if (durationMs !== undefined) event.durationMs = durationMs;
    if (requestId !== undefined) event.requestId = bounded(requestId);
    return event;
  }
}

/** Refused by the service, by a policy, or since the service does not know who is asking. */
const REFUSALS: ReadonlySet<string> = new Set(['Denied', 'Unauthenticated', 'Policy']);

/** As it is, but well-formed and not of any length. */
function bounded(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  // Half of a pair is no character, and canonical JSON (RFC 8785) has no form for it. Node 20 has this; ES2023's types don't.
  return (cut as unknown as { toWellFormed(): string }).toWellFormed();
}

/** A store's provider and where its records go. */
interface Watched {
  readonly provider: Provider;
  readonly recorder: Recorder;
  readonly store: string;
  readonly kind: string;
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
    stream(watched, { action: 'list', secret: query.prefix || undefined }, () => list(query, options)),
  delete: (watched, remove) => (name, query, options) =>
    change(watched, { action: 'delete', secret: name }, () => remove(name, query, options)),
  describe: (watched, describe) => (name, options) => look(watched, name, () => describe(name, options)),
  grants: (watched, grants) => (name, options) => look(watched, name, () => grants(name, options)),
  history: (watched, history) => (name, options) =>
    stream(watched, { action: 'describe', secret: name }, () => history(name, options)),
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

/** The provider, with a record of every access. What it has and has not is as before. */
export function recorded(watched: Watched): Provider {
  return new Proxy(watched.provider, {
    // The object itself is asked, and its methods are called on it: it may have private fields.
    get(provider, name) {
      const value: unknown = Reflect.get(provider, name, provider);
      if (typeof value !== 'function') return value;
      const call: unknown = value.bind(provider);
      const wrap = Object.hasOwn(recording, name) ? recording[name as keyof Methods] : undefined;
      return wrap === undefined ? call : (wrap as (of: Watched, method: unknown) => unknown)(watched, call);
    },
  });
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
async function failed(watched: Watched, started: number, told: Told, thrown: unknown): Promise<never> {
  const error = toSecretsError(thrown);
  await note(watched, started, [{ ...told, error }]).catch((unwritten: unknown) => {
    const { kind, message, hint } = toSecretsError(unwritten);
    throw new SecretsError(kind, `${message}; and the access failed: ${error.message}`, {
      hint,
      cause: thrown,
    });
  });
  throw thrown;
}

async function look<T>(watched: Watched, secret: string, work: () => Promise<T>): Promise<T> {
  const started = milliseconds();
  const told = { action: 'describe', secret } as const;
  const found = await work().catch((thrown: unknown) => failed(watched, started, told, thrown));
  await note(watched, started, [told]);
  return found;
}

async function change<T>(watched: Watched, told: Told, work: () => Promise<T>): Promise<T> {
  await watched.recorder.ready();
  const started = milliseconds();
  let result: T;
  try {
    result = await work();
  } catch (thrown) {
    return failed(watched, started, told, thrown);
  }
  const { id: version = told.version, requestId } = (result ?? {}) as { id?: string; requestId?: string };
  try {
    await note(watched, started, [{ ...told, version, requestId }]);
  } catch (thrown) {
    // Its hint is about what was not done; here something was.
    const { kind, message } = toSecretsError(thrown);
    throw new SecretsError(kind, `the change was made, and is not recorded: ${message}`, {
      hint: 'mend the log; do not repeat the change',
      cause: thrown,
    });
  }
  return result;
}

/** The record is made before the first item is given out: what follows belongs to the same listing. */
async function* stream<T>(watched: Watched, told: Told, open: () => AsyncIterable<T>): AsyncGenerator<T> {
  const started = milliseconds();
  const items = open()[Symbol.asyncIterator]();
  let begun = false;
  try {
    for (;;) {
      let step: IteratorResult<T>;
      try {
        step = await items.next();
      } catch (thrown) {
        return await failed(watched, started, told, thrown);
      }
      if (!begun) await note(watched, started, [told]);
      begun = true;
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await items.return?.();
  }
}
