/**
 * Sends notifications about rotations: to a webhook, signed according to Standard Webhooks
 * (https://www.standardwebhooks.com, specification 1.0.0), or to a program. A notification never contains a value.
 *
 * A failed notification doesn't affect the rotation: it is a warning, and part of the outcome.
 */
import { randomUUID } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { PolicyConfig } from '../config/config.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { isUntrusted } from '../platform/net/authority.ts';
import type { Intent } from '../core/rotation/machine.ts';
import { pool, sleep } from '../core/waiting.ts';
import { codeOf } from '../platform/files.ts';
import { headersOf, signingKey } from '../platform/net/standard-webhooks.ts';
import { compact, failureJson } from '../output/shapes.ts';
import { readPinnedText } from '../platform/pinned.ts';
import { sessionCredentials } from '../session/own-credentials.ts';
import type { Session } from '../session/session.ts';
import { type Receiver, receiverName, receiversOf } from '../config/receivers.ts';
import { type Answer, exchange } from '../platform/net/exchange.ts';
import { runHook } from './targets/program/run.ts';

/** Maximum of attempts for a webhook. */
const ATTEMPTS = 4;
/** Pause before the second attempt; doubles each time. */
const FIRST_PAUSE_MS = 500;
/** Limit for a pause that the receiver asks for. */
const LONGEST_PAUSE_MS = 15_000;
const ATTEMPT_MS = 10_000;
/** All attempts of one webhook, or one run of a program. */
const TOTAL_MS = 60_000;
const PARALLEL = 4;

/** What a notification says about a rotation. */
export interface RotationNotice {
  readonly reference: string;
  readonly intent: Intent;
  /** As in `rotate --json`. */
  readonly outcome: string;
  readonly rotation?: string | undefined;
  /** The current versions before and after. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  readonly startedAt: Date;
  /** The service that rotates, if it isn't `secrets`. */
  readonly by?: string | undefined;
  readonly holder?: object | undefined;
  readonly failure?: SecretsError | undefined;
}

/** The result of notifying one receiver; part of `rotate --json`. */
export interface Delivery {
  readonly to: string;
  readonly delivered: boolean;
  readonly attempts: number;
  readonly error?: string;
}

/** A receiver, and the folder that its relative paths start at. */
interface PlacedReceiver {
  readonly receiver: Receiver;
  readonly folder: string;
}

export class Notifier {
  readonly #session: Session;
  readonly #flags: readonly PlacedReceiver[];
  readonly #policies: () => Promise<ReadonlyMap<string, PolicyConfig>>;
  readonly #limit = pool(PARALLEL);
  #warned = false;

  /** @param flags the `--notify` flags @throws SecretsError Usage for a URL that is not allowed */
  constructor(
    session: Session,
    flags: readonly string[],
    policies: () => Promise<ReadonlyMap<string, PolicyConfig>>,
  ) {
    this.#session = session;
    this.#policies = policies;
    this.#flags = flags
      .flatMap((flag) => receiversOf(flag))
      .map((receiver) => ({ receiver, folder: session.world.cwd }));
  }

  /** Notifies every receiver of this secret. Never rejects. */
  async notify(notice: RotationNotice): Promise<readonly Delivery[]> {
    const placed = await this.#receivers(notice.reference);
    if (placed.length === 0) return [];
    const document = this.#document(notice);
    return Promise.all(
      placed.map((one) =>
        this.#limit(async () => {
          const to = receiverName(one.receiver);
          const { attempts, error } = await this.#notifyOne(one, document);
          if (error === undefined) return { to, delivered: true, attempts };
          this.#session.warn(`${notice.reference}: ${to} was not notified: ${error.message}`);
          return { to, delivered: false, attempts, error: error.message };
        }),
      ),
    );
  }

  async #receivers(reference: string): Promise<readonly PlacedReceiver[]> {
    const { notify: section } = await this.#session.config();
    if (section?.untrusted !== undefined && !this.#warned) {
      this.#warned = true;
      const { notTrusted } = await import('../config/trust.ts');
      const { file } = await this.#session.config();
      this.#session.warn(notTrusted('rotation.notify', file, section.untrusted).message);
    }
    // An unreadable policy fails the rotation, and receivers are notified of that too.
    const policies = await this.#policies().catch(() => new Map<string, PolicyConfig>());
    const policy = policies.get(reference);
    const own = policy?.untrusted === undefined ? policy?.settings.notify : undefined;
    const setting = own ?? section?.setting ?? [];
    const folder = dirname((own === undefined ? section?.file : policy?.file) ?? this.#session.world.cwd);
    return [...receiversOf(setting).map((receiver) => ({ receiver, folder })), ...this.#flags];
  }

  #document({
    reference,
    intent,
    outcome,
    rotation,
    before,
    after,
    startedAt,
    by,
    holder,
    failure,
  }: RotationNotice): {
    readonly id: string;
  } {
    const { world } = this.#session;
    const { user = 'unknown', host } = world.names();
    return compact({
      version: 1,
      type: 'secrets.rotation',
      id: randomUUID(),
      reference,
      intent,
      outcome,
      ok: failure === undefined,
      rotation,
      versions: compact({ before, after }),
      user,
      host,
      startedAt: startedAt.toISOString(),
      endedAt: world.now().toISOString(),
      by,
      holder,
      error: failure && failureJson(failure),
    }) as { readonly id: string };
  }

  async #notifyOne(
    { receiver, folder }: PlacedReceiver,
    document: { readonly id: string },
  ): Promise<{ readonly attempts: number; readonly error?: SecretsError }> {
    const { interrupt } = this.#session;
    // Not AbortSignal.any over AbortSignal.timeout, for the reason given at Session.call.
    const end = new AbortController();
    const onInterrupt = (): void => end.abort();
    interrupt.signal.addEventListener('abort', onInterrupt, { once: true });
    if (interrupt.signal.aborted) end.abort();
    const timer = setTimeout(onInterrupt, TOTAL_MS);
    try {
      if (receiver.kind === 'webhook') return await this.#post(receiver, folder, document, end.signal);
      await this.#run(receiver.command, folder, document, end.signal);
      return { attempts: 1 };
    } catch (thrown) {
      return { attempts: 1, error: toSecretsError(thrown) };
    } finally {
      clearTimeout(timer);
      interrupt.signal.removeEventListener('abort', onInterrupt);
    }
  }

  async #run(
    command: readonly string[],
    folder: string,
    document: object,
    signal: AbortSignal,
  ): Promise<void> {
    const { env } = this.#session.world;
    const credentialVariables = [...(await sessionCredentials(this.#session))];
    const { code, killedBy, lastLine } = await runHook(
      command,
      document,
      [],
      '',
      { folder, env, credentialVariables },
      signal,
    );
    if (code === 0) return;
    const how = killedBy === null ? `it ended with ${code ?? 'nothing'}` : `it was killed by ${killedBy}`;
    throw new SecretsError('Failed', lastLine === '' ? how : `${how}: ${lastLine}`);
  }

  async #post(
    { url, secret, ca }: Extract<Receiver, { kind: 'webhook' }>,
    folder: string,
    document: { readonly id: string },
    signal: AbortSignal,
  ): Promise<{ readonly attempts: number; readonly error?: SecretsError }> {
    const key = secret === undefined ? undefined : await this.#key(secret);
    const authority = ca === undefined ? undefined : readAuthority(resolve(folder, ca));
    const body = Buffer.from(JSON.stringify(document));
    for (let attempt = 1; ; attempt += 1) {
      const { error, retry, pauseMs } = await attemptPost(
        url,
        body,
        headersOf(document.id, this.#session.world.now(), body, key),
        authority,
        signal,
      );
      if (error === undefined) return { attempts: attempt };
      if (!retry || attempt === ATTEMPTS || signal.aborted) return { attempts: attempt, error };
      const pause = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
      await sleep(Math.min(Math.max(pause, pauseMs), LONGEST_PAUSE_MS), signal, true);
    }
  }

  async #key(reference: string): Promise<Buffer> {
    const [answer] = await this.#session.resolve([reference]);
    if (answer === undefined) throw new TypeError('one was asked for');
    if (!answer.ok)
      throw new SecretsError(answer.error.kind, `its key ${reference}: ${answer.error.message}`);
    return signingKey(answer.value);
  }
}

interface Attempt {
  readonly error?: SecretsError;
  /** Whether another attempt may succeed. */
  readonly retry: boolean;
  /** The pause that the receiver asked for. */
  readonly pauseMs: number;
}

async function attemptPost(
  url: string,
  body: Buffer,
  headers: Record<string, string>,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<Attempt> {
  const end = new AbortController();
  const onAbort = (): void => end.abort();
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(onAbort, ATTEMPT_MS);
  try {
    return judge(await exchange(url, 'POST', headers, body, ca, '', end.signal));
  } catch (thrown) {
    const error = toSecretsError(thrown);
    const code = codeOf(error.cause);
    const retry = code !== undefined && !isUntrusted(code);
    return { error, retry, pauseMs: 0 };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

function judge({ status, retryAfter }: Answer): Attempt {
  if (status >= 200 && status < 300) return { retry: false, pauseMs: 0 };
  const error = new SecretsError('Unavailable', `the server answered with status ${status}`);
  const retry = status === 408 || status === 425 || status === 429 || status >= 500;
  const seconds = /^\d{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) : 0;
  return { error, retry, pauseMs: seconds * 1000 };
}

function readAuthority(path: string): string {
  try {
    return readPinnedText(path);
  } catch (cause) {
    if (cause instanceof SecretsError) throw cause;
    throw new SecretsError('Usage', `cannot read the ca ${path}: ${codeOf(cause) ?? 'failed'}`, { cause });
  }
}
