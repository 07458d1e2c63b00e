import { deliver, type Delivered } from '../../audit/sinks/deliver.ts';
import { sinkContext } from '../../session/deliver.ts';
import { receiverOf, type Sink } from '../../audit/sinks/settings.ts';
import type { AuditSettings } from '../../audit/log/settings.ts';
import { parseDuration } from '../../core/duration.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { nearest } from '../../core/reference/nearest.ts';
import { sleep } from '../../core/waiting.ts';
import { jsonText, singleLine } from '../../core/text/sanitize.ts';
import { compact } from '../../output/shapes.ts';
import type { Session } from '../../session/session.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';

interface SendOptions extends CommonOptions {
  readonly sink?: readonly string[];
  readonly follow?: boolean;
}

const BATCH_MS = 30_000;
/** Longer than it takes to see that a holder of the lock is gone (src/audit/log/lock.ts). */
const WAIT_MS = 10_000;
const POLL_MS = 1000;

export async function run(session: Session, { options }: Invocation<SendOptions>): Promise<void> {
  const { audit } = await session.config();
  if (audit.log === 'off') {
    session.warn('audit.log is off: nothing is recorded, and nothing is sent');
    return;
  }
  const sinks = chosenSinks(audit, options.sink);
  const context = sinkContext(session);
  const { signal } = session.interrupt;
  const batchMs = options.timeout === undefined ? BATCH_MS : parseDuration(options.timeout);
  const once = async (sink: Sink, eager: boolean): Promise<Delivered> => {
    let sent = 0;
    for (;;) {
      const delivered = await deliver({
        ...{ logPath: audit.path, sink, context, signal, batchMs, waitMs: WAIT_MS, eager },
      });
      sent += delivered.sent;
      if (delivered.state !== 'stopped' || signal.aborted) return { ...delivered, sent };
    }
  };
  const told = await Promise.all(
    sinks.map(async (sink) => {
      const delivered = await once(sink, true);
      await tell(session, options, sink, delivered);
      return delivered;
    }),
  );
  if (options.follow === true)
    return void (await Promise.all(sinks.map((sink) => follow(session, options, sink, once))));
  const failed = told.filter(({ error }) => error !== undefined);
  const [first] = failed;
  if (first?.error === undefined) return;
  throw new SecretsError(
    'Unavailable',
    `${failed.length} of ${sinks.length} audit sinks did not take the records: ${first.sink}: ${first.error.message}`,
    {
      hint: first.error.hint ?? 'they remain in the log; run secrets audit send again later',
      cause: first.error,
    },
  );
}

async function follow(
  session: Session,
  options: SendOptions,
  sink: Sink,
  once: (sink: Sink, eager: boolean) => Promise<Delivered>,
): Promise<void> {
  const { signal } = session.interrupt;
  while (!signal.aborted) {
    await sleep(POLL_MS, signal, true);
    if (signal.aborted) return;
    try {
      const delivered = await once(sink, false);
      if (delivered.sent > 0 || delivered.error !== undefined) await tell(session, options, sink, delivered);
    } catch (thrown) {
      // The log or the state can't be read just now; a service goes on.
      session.warn(`audit sink ${sink.name}: ${toSecretsError(thrown).message}`);
      await sleep(WAIT_MS, signal, true);
    }
  }
}

async function tell(
  session: Session,
  { json }: SendOptions,
  sink: Sink,
  delivered: Delivered,
): Promise<void> {
  const { state, sent, upTo, backlog, missing, error } = delivered;
  if (missing !== undefined)
    session.warn(
      `audit sink ${sink.name}: records ${missing.from} to ${missing.to} were removed by retention before they were sent`,
    );
  if (json === true) {
    const document = {
      sink: sink.name,
      to: receiverOf(sink.given),
      state,
      sent,
      upTo,
      backlog,
      missing,
      error: error === undefined ? undefined : { kind: error.kind, message: error.message },
    };
    await session.print(`${jsonText(compact(document))}\n`);
    return;
  }
  const what = sent === 0 ? 'nothing sent' : `sent ${sent} record${sent === 1 ? '' : 's'}`;
  const rest = {
    done: `up to record ${upTo}`,
    later: `${backlog} wait`,
    busy: `another process sends to it`,
    stopped: `${backlog} wait`,
    failed: `${backlog} wait: ${error?.message ?? 'failed'}`,
  }[state];
  await session.print(`${singleLine(`${sink.name}: ${what}, ${rest}`)}\n`);
}

/** @throws SecretsError Usage */
export function chosenSinks(
  { sinks = [] }: AuditSettings,
  names: readonly string[] | undefined,
): readonly Sink[] {
  if (sinks.length === 0)
    throw new SecretsError('Usage', 'no audit sinks are configured', {
      hint: 'configure them under audit.sinks in secrets.yaml, and trust the file',
    });
  if (names === undefined) return sinks;
  return names.map((name) => {
    const sink = sinks.find((one) => one.name === name);
    if (sink !== undefined) return sink;
    const known = sinks.map((one) => one.name);
    const near = nearest(name, known);
    throw new SecretsError('Usage', `no audit sink named ${singleLine(name)}`, {
      hint: near === undefined ? `the sinks are ${known.join(', ')}` : `did you mean ${near}?`,
    });
  });
}
