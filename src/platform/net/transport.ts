/** Shared by clients of plain HTTP servers: a request whose whole answer is read, and retries. */
import { setMaxListeners } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { outOfTime, SecretsError } from '../../core/errors.ts';
import { sleep } from '../../core/waiting.ts';
import { codeOf } from '../files.ts';
import { isUntrusted } from './authority.ts';

const ATTEMPTS = 4;
/** The longest Retry-After, in seconds, that is honoured. */
const LONGEST_WAIT = 10;

export interface WholeAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The answer exceeded the allowed size. */
export class AnswerTooLong extends SecretsError {
  constructor() {
    super('Unavailable', 'the server’s answer is too long');
  }
}

/** A signal aborted the request. */
export class Stopped extends Error {}

interface Bounds {
  /** Longest answer to read, in bytes. */
  readonly maxAnswer: number;
  readonly signals: readonly AbortSignal[];
}

/**
 * Sends one request, over TLS if `options.protocol` says so, and reads the whole answer. No redirect is followed.
 * Rejects with AnswerTooLong, Stopped or the system's error.
 */
export function requestWhole(
  options: https.RequestOptions,
  body: Buffer | undefined,
  { maxAnswer, signals }: Bounds,
): Promise<WholeAnswer> {
  const { request } = options.protocol === 'https:' ? https : http;
  const length = body !== undefined && { 'content-length': String(body.length) };
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, headers: { ...options.headers, ...length } }, (answer) => {
      const pieces: Buffer[] = [];
      let size = 0;
      answer.on('data', (piece: Buffer) => {
        size += piece.length;
        if (size <= maxAnswer) pieces.push(piece);
        else answer.destroy(new AnswerTooLong());
      });
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces) }),
      );
    });
    // Listeners instead of AbortSignal.any: Node 20 garbage-collects a timeout that only such a signal refers to.
    const listening = signals.map((signal) => {
      const stop = (): void => void sent.destroy(new Stopped('stopped', { cause: signal.reason }));
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      return (): void => signal.removeEventListener('abort', stop);
    });
    sent.on('close', () => {
      for (const end of listening) end();
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

interface RetryRules {
  readonly signal: AbortSignal;
  /** Whether the same call may succeed shortly, and repeating it does no harm. */
  readonly isPassing: (answer: WholeAnswer) => boolean;
  /** Whether the call is idempotent, so that it may be retried after a broken connection. */
  readonly repeatable: boolean;
  /** Added to the message of a failure after which the call may have been carried out. */
  readonly doubt: string;
  /** The error if no connection is possible. */
  readonly unreachable: (thrown: unknown) => SecretsError;
}

/** Retries what is safe to repeat. Honours Retry-After up to ten seconds. */
export async function withRetries(
  once: () => Promise<WholeAnswer>,
  { signal, isPassing, repeatable, doubt, unreachable }: RetryRules,
): Promise<WholeAnswer> {
  // Many calls share the command's one signal, so Node's warning about a leak would be wrong.
  setMaxListeners(0, signal);
  for (let attempt = 1; ; attempt += 1) {
    if (signal.aborted) throw outOfTime(signal.reason);
    let wait = 100 * 2 ** attempt * (0.5 + Math.random() / 2);
    try {
      const answer = await once();
      if (attempt === ATTEMPTS || !isPassing(answer)) return answer;
      const seconds = Number(answer.headers['retry-after']);
      if (Number.isFinite(seconds) && seconds >= 0) {
        // Whether to wait that long is up to the user.
        if (seconds > LONGEST_WAIT) return answer;
        wait = Math.max(seconds * 1000, 20) + Math.random() * 50;
      }
    } catch (thrown) {
      if (signal.aborted) throw outOfTime(thrown, doubt);
      if (thrown instanceof SecretsError) throw thrown;
      if (!repeatable || attempt === ATTEMPTS || isPermanent(thrown)) throw unreachable(thrown);
    }
    await sleep(wait, signal, true);
  }
}

/** Trust and name failures don't go away by retrying. */
function isPermanent(thrown: unknown): boolean {
  const code = codeOf(thrown) ?? '';
  return isUntrusted(code) || /_ALERT_|ENOTFOUND|ERR_TLS|ERR_SSL|EPROTO|ERR_INVALID/.test(code);
}
