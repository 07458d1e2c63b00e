/**
 * Requests and responses over a plugin's lines: ids, the order of responses, deadlines, cancellation, and protocol
 * violations. A violation ends the plugin, because nothing that it says afterwards can be trusted.
 */
import * as v from 'valibot';
import { excerpt, IN_DOUBT, SecretsError, type ErrorKind } from '../../core/errors.ts';
import { checkContents } from '../../platform/pinned.ts';
import { parseJson } from '../../core/json.ts';
import { Masker } from '../../core/redaction/redactor.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { PluginProcess } from './process.ts';
import {
  answerSchema,
  type errorSchema,
  KINDS,
  type Item,
  ITEMS,
  LIMITS,
  type Method,
  type Result,
  RESULTS,
  type Streaming,
  WRITES,
} from './protocol.ts';

export interface RequestOptions {
  readonly signal: AbortSignal;
  /** Milliseconds since 1970; sent to the plugin, and enforced here too in case the signal doesn't come. */
  readonly deadline?: number | undefined;
  /** Sent to the plugin instead of `deadline`. */
  readonly sentDeadline?: number | undefined;
  /** Called for each item as it arrives. */
  readonly onItem?: (item: unknown) => void;
  /** A value in the request: a plugin's message that contains it is not shown. */
  readonly value?: Uint8Array | undefined;
}

interface Pending extends RequestOptions {
  readonly id: number;
  readonly method: string;
  readonly line: string;
  sent: boolean;
  items: number;
  itemBytes: number;
  resolve(result: unknown): void;
  reject(error: SecretsError): void;
}

export interface ConnectionOptions {
  /** The plugin's name, for messages. */
  readonly plugin: string;
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onErrorOutput?: (chunk: Buffer) => void;
}

/** The longest time that a timer of Node.js can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Replaces a message that contains a value. */
export const HIDDEN = 'failed (its message holds the value and is not shown)';

export class Connection {
  /** The longest line accepted from the plugin; increased once it has declared the size of its values. */
  maxLine: number = LIMITS.helloLine;
  readonly #options: ConnectionOptions;
  readonly #process: PluginProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #queue: Pending[] = [];
  readonly #cancelled = new Set<number>();
  /** The callbacks for an abort, by signal. */
  readonly #aborts = new Map<
    AbortSignal,
    { readonly waiting: Set<() => void>; readonly listener: () => void }
  >();
  #lastId = 0;
  #broken: string | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    checkContents();
    this.#process = new PluginProcess(options.path, options.env, {
      maxLine: () => this.maxLine,
      onLine: (line) => this.#receive(line),
      onEnd: (why) => this.#end(why),
      ...(options.onErrorOutput !== undefined && { onErrorOutput: options.onErrorOutput }),
    });
  }

  get errorBytes(): number {
    return this.#process.errorBytes;
  }

  /** Why it can't be used any more: "ended (exit code 3)". */
  get broken(): string | undefined {
    return this.#broken;
  }

  /** Sends a request and validates the response. @throws SecretsError */
  async request<M extends Method>(
    method: M,
    params: Readonly<Record<string, unknown>>,
    options: Omit<RequestOptions, 'onItem'> & {
      readonly onItem?: (item: Item<M & Streaming>) => void;
    },
  ): Promise<Result<M>> {
    const { onItem } = options;
    const schema = (ITEMS as Partial<Record<string, v.GenericSchema>>)[method];
    const checked =
      onItem === undefined || schema === undefined
        ? {}
        : {
            onItem: (item: unknown): void => {
              const parsed = v.safeParse(schema, item);
              if (!parsed.success) throw this.#misshapen(method, parsed.issues[0]);
              onItem(parsed.output as Item<M & Streaming>);
            },
          };
    const result = await this.raw(method, params, { ...options, ...checked } as RequestOptions);
    const parsed = v.safeParse(RESULTS[method] as v.GenericSchema, result);
    if (!parsed.success) throw this.#misshapen(method, parsed.issues[0]);
    return parsed.output as Result<M>;
  }

  /** Sends a request for any method without validating the response. */
  raw(method: string, params: Readonly<Record<string, unknown>>, options: RequestOptions): Promise<unknown> {
    const { signal, deadline, sentDeadline = deadline } = options;
    return new Promise((resolve, reject) => {
      if (this.#broken !== undefined) {
        reject(this.#unavailable(this.#broken));
        return;
      }
      if (signal.aborted) {
        reject(this.#outOfTime(signal, false));
        return;
      }
      this.#lastId += 1;
      const id = this.#lastId;
      const line = JSON.stringify({
        id,
        method,
        ...(sentDeadline !== undefined && { deadline: sentDeadline }),
        params,
      });
      const abort = (): void => this.#abort(pending);
      const settle =
        <T>(work: (outcome: T) => void) =>
        (outcome: T): void => {
          forget();
          clearTimeout(timer);
          work(outcome);
        };
      const pending: Pending = {
        ...options,
        id,
        method,
        line,
        sent: false,
        items: 0,
        itemBytes: 0,
        resolve: settle(resolve),
        reject: settle(reject),
      };
      const forget = this.#onAbort(signal, abort);
      const timer =
        deadline === undefined ? undefined : setTimeout(abort, Math.min(deadline - Date.now(), MAX_TIMER_MS));
      this.#queue.push(pending);
      this.#sendWaiting();
    });
  }

  /**
   * Registers a callback for an abort. Requests with the same signal share one listener, because Node warns about more
   * than ten.
   * @returns a function that removes the callback
   */
  #onAbort(signal: AbortSignal, abort: () => void): () => void {
    let shared = this.#aborts.get(signal);
    if (shared === undefined) {
      const waiting = new Set<() => void>();
      const listener = (): void => {
        for (const one of waiting) one();
      };
      shared = { waiting, listener };
      this.#aborts.set(signal, shared);
      signal.addEventListener('abort', listener, { once: true });
    }
    const { waiting, listener } = shared;
    waiting.add(abort);
    return () => {
      if (!waiting.delete(abort) || waiting.size > 0) return;
      this.#aborts.delete(signal);
      signal.removeEventListener('abort', listener);
    };
  }

  /** Abandoned requests that the plugin hasn't answered yet. */
  get unanswered(): number {
    return this.#cancelled.size;
  }

  /** Resolves once the plugin and everything that it started has ended, with the means that was necessary. */
  async close(): Promise<'input' | NodeJS.Signals> {
    this.#broken ??= 'is closed';
    return this.#process.stop();
  }

  #sendWaiting(): void {
    while (this.#queue.length > 0 && this.#pending.size < LIMITS.outstanding) {
      const pending = this.#queue.shift() as Pending;
      // Its own listener rejects it as a request that was never sent.
      if (pending.signal.aborted) continue;
      this.#pending.set(pending.id, pending);
      pending.sent = true;
      this.#process.write(pending.line);
    }
  }

  #abort(pending: Pending): void {
    if (pending.sent) {
      this.#drop(pending);
    } else {
      const place = this.#queue.indexOf(pending);
      if (place !== -1) this.#queue.splice(place, 1);
    }
    pending.reject(this.#outOfTime(pending.signal, pending.sent && this.#writes(pending)));
  }

  /** Stops waiting for a request: a late response is ignored. */
  #drop({ id }: Pending): void {
    if (!this.#pending.delete(id)) return;
    this.#cancelled.add(id);
    this.#process.write(JSON.stringify({ method: 'cancel', params: { id } }));
    if (this.#cancelled.size > LIMITS.cancelled) {
      this.#process.abandon('leaves its requests without an answer');
      return;
    }
    this.#sendWaiting();
  }

  #receive(line: Buffer): void {
    let answer: v.InferOutput<typeof answerSchema>;
    try {
      answer = v.parse(answerSchema, parseJson(line));
    } catch {
      this.#process.abandon('wrote a line that is not of the protocol');
      return;
    }
    const { id, result, error, item } = answer;
    if ([result, error, item].filter((part) => part !== undefined).length !== 1) {
      this.#process.abandon('wrote a line that is not of the protocol');
      return;
    }
    if (this.#cancelled.has(id)) {
      if (item === undefined) this.#cancelled.delete(id);
      return;
    }
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.#process.abandon(
        id <= this.#lastId ? 'answered a request twice' : 'answered a request that was not made',
      );
      return;
    }
    if (item !== undefined) this.#take(pending, item, line.length);
    else {
      this.#pending.delete(id);
      if (error === undefined) pending.resolve(result);
      else pending.reject(this.toError(error, pending));
      this.#sendWaiting();
    }
  }

  #take(pending: Pending, item: unknown, bytes: number): void {
    if (pending.onItem === undefined) {
      this.#process.abandon(`sent items for ${pending.method}, which has none`);
      return;
    }
    pending.items += 1;
    pending.itemBytes += bytes;
    try {
      if (
        pending.items > LIMITS.pageItems ||
        (pending.method !== 'get' && pending.itemBytes > LIMITS.pageBytes)
      )
        throw this.#unavailable(`sent more items for one ${pending.method} than a page may have`);
      pending.onItem(item);
    } catch (thrown) {
      this.#drop(pending);
      pending.reject(thrown as SecretsError);
    }
  }

  #end(why: string): void {
    this.#broken ??= why;
    const waiting = [...this.#pending.values(), ...this.#queue];
    this.#pending.clear();
    this.#queue.length = 0;
    for (const pending of waiting)
      pending.reject(this.#unavailable(why, pending.sent && this.#writes(pending)));
  }

  #writes({ method }: Pending): boolean {
    return WRITES.has(method as Method);
  }

  /** Translates an error response of the plugin. */
  toError(
    error: v.InferOutput<typeof errorSchema>,
    request: Pick<Pending, 'method' | 'value'>,
  ): SecretsError {
    const kind = KINDS.find((known) => known === error.kind) ?? ('Failed' satisfies ErrorKind);
    const doubt = error.inDoubt === true && WRITES.has(request.method as Method) ? IN_DOUBT : '';
    const shown = (text: string): string => {
      if (holds(text, request.value)) return HIDDEN;
      return excerpt(singleLine(text));
    };
    const hint = error.hint ?? undefined;
    return new SecretsError(
      doubt === '' ? kind : 'Unavailable',
      `${shown(error.message) || 'failed'}${doubt}`,
      { hint: hint === undefined || hint === '' ? undefined : shown(hint) },
    );
  }

  #outOfTime(signal: AbortSignal, doubt: boolean): SecretsError {
    const interrupted = (signal.reason as Error | undefined)?.name === 'AbortError';
    return this.#unavailable(interrupted ? 'was interrupted' : 'did not answer in time', doubt);
  }

  #misshapen(method: Method, issue: v.BaseIssue<unknown>): SecretsError {
    const path = (issue.path ?? []).map(({ key }) => String(key)).join('.');
    const where = path === '' ? '' : ` (${singleLine(path).slice(0, 80)})`;
    return this.#unavailable(
      `answered ${method} in another form than the protocol’s${where}`,
      WRITES.has(method),
    );
  }

  #unavailable(why: string, doubt = false): SecretsError {
    const { plugin } = this.#options;
    return new SecretsError('Unavailable', `the plugin ${plugin} ${why}${doubt ? IN_DOUBT : ''}`, {
      hint: `secrets doctor --plugin ${plugin} tests the plugin`,
    });
  }
}

/** Whether a text contains a value in any of the forms that programs write values in. */
export function holds(text: string, value: Uint8Array | undefined): boolean {
  if (value === undefined || value.length === 0) return false;
  return new Masker([value]).finds(Buffer.from(text));
}
