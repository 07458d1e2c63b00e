/** Writes the records of a command's accesses. Loaded on every start, so it imports no library. */
import type { AuditAction, AuditActor, AuditEvent, AuditGrant, AuditLog } from '../../core/audit/record.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { hideIssued } from '../../core/text/suspect.ts';
import type { KnownIdentity } from '../../providers/provider.ts';
import { shownName } from '../../output/confidential.ts';
import type { AuditSettings } from '../log/settings.ts';
import { isoTime } from '../log/time.ts';

/** The fields that are the same in every record of a command. */
export interface CommandContext {
  readonly command: string;
  readonly user: string | undefined;
  readonly uid: number | undefined;
  readonly host: string;
  readonly pid: number | undefined;
  /** The program that asked, if it isn't the user. */
  readonly client?: string | undefined;
  readonly reason: string | undefined;
}

export interface Access {
  readonly action: AuditAction;
  readonly store: string;
  readonly provider?: string | undefined;
  readonly secret?: string | undefined;
  readonly version?: string | undefined;
  readonly stage?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly requestId?: string | undefined;
  /** Missing if the access was allowed. */
  readonly error?: SecretsError | undefined;
  readonly identity?: KnownIdentity | undefined;
  readonly durationMs?: number | undefined;
  /** The intent, as returned by `intend`, whose outcome this is. */
  readonly intent?: number | undefined;
  readonly grant?: AuditGrant | undefined;
  /** Set if the agent answered; see `AuditEvent.agent`. */
  readonly agent?: AuditEvent['agent'];
  /** The policies that permitted it; those that denied it are in `error`. */
  readonly policies?: readonly string[] | undefined;
  /** Who asked, if it wasn't this process: a client of the agent. */
  readonly by?: AccessClient | undefined;
}

/** A client of the agent. Replaces what is known of this process. */
export interface AccessClient {
  readonly command?: string | undefined;
  readonly pid?: number | undefined;
  readonly reason?: string | undefined;
  /** Its program, and its token's accessor. */
  readonly client?: string | undefined;
  readonly address?: string | undefined;
}

/** What a store needs of a recorder. */
export type AccessRecorder = Pick<Recorder, 'intend' | 'record'>;

/** Longest text in a record, in UTF-16 units: a mistyped reference may be of any length. */
const MAX_TEXT = 2048;
const MAX_KEYS = 64;

/** Events that are waiting for the current write to finish, and the next write. */
interface Queue<T> {
  waiting: AuditEvent[];
  next: Promise<T> | undefined;
}

interface RecorderParts {
  readonly now: () => Date;
  readonly warn: (message: string) => void;
  /** Whether the process serves many clients, one after the other. */
  readonly isLasting?: boolean;
}

/** Writes a command's accesses to the log, as strictly as the mode demands. */
export class Recorder {
  readonly #log: AuditLog;
  readonly #settings: AuditSettings;
  readonly #context: CommandContext;
  readonly #now: () => Date;
  readonly #warn: (message: string) => void;
  readonly #isLasting: boolean;
  readonly #outcomes: Queue<void> = { waiting: [], next: undefined };
  readonly #intents: Queue<readonly number[]> = { waiting: [], next: undefined };
  #last: Promise<unknown> = Promise.resolve();
  #off: Promise<void> | undefined;
  #warned = false;
  #broken: SecretsError | undefined;

  constructor(
    log: AuditLog,
    settings: AuditSettings,
    context: CommandContext,
    { now, warn, isLasting = false }: RecorderParts,
  ) {
    this.#log = log;
    this.#settings = settings;
    this.#context = context;
    this.#now = now;
    this.#warn = warn;
    this.#isLasting = isLasting;
  }

  /**
   * Call before a change. With `required`, the intent is durable when this resolves; the other modes have no intents.
   * @returns the intent, for the record of the outcome
   * @throws SecretsError Policy: nothing may be changed then
   */
  async intend(access: Access): Promise<number | undefined> {
    if (this.#settings.log !== 'required') return undefined;
    // After a record couldn't be written, a command makes no further changes. In a process that lives on, the log may
    // be good again: the intent shows it.
    if (this.#broken !== undefined && !this.#isLasting) throw this.#broken;
    const place = this.#intents.waiting.push({ ...this.#event(access), outcome: 'unknown' }) - 1;
    return (await this.#written(this.#intents, (batch) => this.#log.intend(batch)))[place];
  }

  /**
   * Records accesses, all in one write. With `required`, they are durable when this resolves.
   * @throws SecretsError Policy, only with `required`
   */
  async record(accesses: readonly Access[]): Promise<void> {
    if (accesses.length === 0) return;
    const { log } = this.#settings;
    if (log === 'off') {
      // A user who turned the log off may not be able to write it.
      this.#off ??= this.#log.appendMode('off', this.#event({ action: 'other', store: '' })).catch(() => {});
      return this.#off;
    }
    try {
      this.#outcomes.waiting.push(...accesses.map((access) => this.#event(access)));
      await this.#written(this.#outcomes, (batch) => this.#log.append(batch));
    } catch (thrown) {
      if (log === 'required') throw (this.#broken = toSecretsError(thrown));
      if (!this.#warned) this.#warn(`this access is not recorded: ${toSecretsError(thrown).message}`);
      this.#warned = true;
    }
  }

  /**
   * One write at a time, of intents or of outcomes; events that arrive meanwhile go into the next. With many clients,
   * a write waits for the other requests that have come by now: it costs as much for hundreds of records as for one.
   */
  #written<T>(queue: Queue<T>, write: (batch: readonly AuditEvent[]) => Promise<T>): Promise<T> {
    queue.next ??= this.#last.then(async () => {
      if (this.#isLasting) await new Promise<void>((resolve) => setImmediate(resolve));
      const batch = queue.waiting;
      queue.waiting = [];
      queue.next = undefined;
      return write(batch);
    });
    const written = queue.next;
    this.#last = written.catch(() => {});
    return written;
  }

  #event(access: Access): AuditEvent {
    const { user, uid, command, host, pid, client, reason } = asClient(this.#context, access.by);
    const {
      action,
      store,
      provider,
      secret,
      version,
      stage,
      keys,
      requestId,
      error,
      identity,
      durationMs,
      intent,
    } = access;
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
    };
    if (pid !== undefined) event.pid = pid;
    if (error !== undefined) event.error = error.kind;
    // If the access failed, its texts may contain a credential in the wrong place.
    const told = (text: string): string => bounded(error === undefined ? text : hideIssued(text));
    if (store !== '') event.store = told(store);
    if (provider !== undefined) event.provider = provider;
    // A name that doesn't exist may be a value that was typed by mistake.
    if (secret !== undefined)
      event.secret = bounded(error?.kind === 'NotFound' || action === 'list' ? shownName(secret) : secret);
    if (version !== undefined) event.version = told(version);
    if (stage !== undefined) event.stage = told(stage);
    if (keys !== undefined) event.keys = keys.slice(0, MAX_KEYS).map(told);
    if (client !== undefined) event.client = bounded(client);
    if (reason !== undefined) event.reason = hideIssued(reason);
    const policies = error?.policies ?? access.policies ?? [];
    if (policies.length > 0) event.policies = policies.slice(0, MAX_KEYS).map(bounded);
    if (durationMs !== undefined) event.durationMs = durationMs;
    if (requestId !== undefined) event.requestId = bounded(requestId);
    if (intent !== undefined) event.intent = intent;
    if (access.grant !== undefined)
      event.grant = { ...access.grant, principal: told(access.grant.principal) };
    if (access.agent !== undefined) event.agent = access.agent;
    if (access.by?.address !== undefined) event.address = bounded(access.by.address);
    return event;
  }
}

/** This process's own reason and id aren't its client's. */
function asClient(context: CommandContext, by: AccessClient | undefined): CommandContext {
  if (by === undefined) return context;
  return {
    ...context,
    command: by.command ?? context.command,
    pid: by.pid,
    client: by.client,
    reason: by.reason,
  };
}

/** Refused by the service or by a policy, or because the service doesn't know the caller. */
const REFUSALS: ReadonlySet<string> = new Set(['Denied', 'Unauthenticated', 'Policy']);

/** Makes the text well-formed and limits its length. */
function bounded(text: string): string {
  const cut = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}… (${text.length} characters)` : text;
  // An unpaired surrogate isn't a character, and canonical JSON (RFC 8785) can't represent it. Node 20 has
  // toWellFormed; the types of ES2023 don't.
  return (cut as unknown as { toWellFormed(): string }).toWellFormed();
}
