/** Sends records to the audit sinks at the end of a command. */
import { SecretsError } from '../core/errors.ts';
import type { Session } from './session.ts';
import type { AuditSettings } from '../audit/log/settings.ts';
import { deliver, type Delivered } from '../audit/sinks/deliver.ts';
import type { SinkContext } from '../audit/sinks/sender.ts';
import type { Sink } from '../audit/sinks/settings.ts';

/** The longest that all sinks together delay the end of a command. */
const AFTER_COMMAND_MS = 800;

export function sinkContext(session: Session): SinkContext {
  const values = new Map<string, Promise<Uint8Array>>();
  const read = async (reference: string): Promise<Uint8Array> => {
    const [answer] = await session.resolve([reference]);
    if (answer === undefined) throw new TypeError('one was asked for');
    if (answer.ok) return answer.value;
    throw new SecretsError(answer.error.kind, `the secret ${reference}: ${answer.error.message}`, {
      hint: answer.error.hint,
    });
  };
  return {
    world: session.world,
    secret: async (reference) => {
      let value = values.get(reference);
      if (value === undefined) {
        value = read(reference);
        values.set(reference, value);
        // The next delivery retries after a failure.
        value.catch(() => values.delete(reference));
      }
      return value;
    },
  };
}

/** After a command's work: one short attempt for each sink. Never rejects; what fails is sent later. */
export async function deliverAfter(
  session: Session,
  { path, sinks = [], untrustedSinks }: AuditSettings,
): Promise<void> {
  if (untrustedSinks === true)
    session.warn(
      'the audit sinks of secrets.yaml are not used, because the file is not trusted; review them with secrets trust',
    );
  if (sinks.length === 0) return;
  const end = new AbortController();
  const stop = (): void => end.abort();
  const timer = setTimeout(stop, AFTER_COMMAND_MS);
  session.interrupt.signal.addEventListener('abort', stop, { once: true });
  if (session.interrupt.signal.aborted) stop();
  const context = sinkContext(session);
  const one = async (sink: Sink): Promise<Delivered | undefined> => {
    try {
      return await deliver({
        logPath: path,
        sink,
        context,
        signal: end.signal,
        batchMs: AFTER_COMMAND_MS,
        waitMs: 0,
        eager: false,
      });
    } catch (thrown) {
      session.debug(`audit sink ${sink.name}: ${String(thrown)}`);
      return undefined;
    }
  };
  try {
    for (const delivered of await Promise.all(sinks.map(one))) {
      if (delivered === undefined) continue;
      const { sink, state, sent, error, warn } = delivered;
      session.debug(
        `audit sink ${sink}: ${state}, sent ${sent}${error === undefined ? '' : `: ${error.message}`}`,
      );
      if (warn !== undefined) session.warn(warn);
    }
  } finally {
    clearTimeout(timer);
    // A store that was asked for a key may not have answered yet.
    if (end.signal.aborted) session.run.abandonCalls();
    session.interrupt.signal.removeEventListener('abort', stop);
  }
}
