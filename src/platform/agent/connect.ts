/** A client's side of one exchange with the agent: connect, hear who it is, ask, get one answer. */
import { connect } from 'node:net';
import { AGENT_HELLO_MS, AGENT_PROTOCOL, AGENT_SILENCE_MS } from '../../core/agent/messages.ts';
import type { AgentAnswer, AgentHello, AgentRequest } from '../../core/agent/messages.ts';
import { isJsonObject } from '../../core/json.ts';
import { codeOf } from '../files.ts';
import { frame, FrameReader, MOST_ANSWER_BYTES } from './frames.ts';

/** Why there was no answer. `gone`: nobody listens. */
export class NoAgent extends Error {
  override readonly name = 'NoAgent';
  readonly why: 'gone' | 'silent' | 'stranger' | 'protocol';
  /** What it said of itself, if it did. */
  readonly hello: AgentHello | undefined;

  constructor(why: NoAgent['why'], message: string, hello?: AgentHello) {
    super(message);
    this.why = why;
    this.hello = hello;
  }
}

export interface Exchange {
  readonly hello: AgentHello;
  readonly answer: Exclude<AgentAnswer, { readonly waiting: true }>;
}

export interface Patience {
  /** For its first message. */
  readonly helloMs?: number;
  /** From then on, also for one that says that it is at work. */
  readonly answerMs?: number;
}

/**
 * Asks the agent once. Never waits longer than it stays silent; without `answerMs` however long the answer takes.
 * @throws NoAgent
 */
export function askAgent(
  path: string,
  request: AgentRequest,
  signal?: AbortSignal,
  { helloMs = AGENT_HELLO_MS, answerMs }: Patience = {},
): Promise<Exchange> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const reader = new FrameReader(MOST_ANSWER_BYTES);
    let hello: AgentHello | undefined;
    let isAnswered = false;
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abandon);
      socket.destroy();
    };
    const fail = (why: NoAgent['why'], message: string): void => {
      if (isAnswered) return;
      end();
      reject(new NoAgent(why, message, hello));
    };
    const abandon = (): void => fail('silent', 'nobody waits for it any more');
    let timer = setTimeout(() => fail('silent', 'it does not answer'), helloMs);
    const hear = (message: unknown): void => {
      if (hello === undefined) {
        hello = helloOf(message);
        if (hello === undefined) return fail('stranger', 'what listens there is not an agent');
        if (hello.protocol !== AGENT_PROTOCOL)
          return fail('protocol', `it is of version ${hello.version}, which speaks differently`);
        socket.write(frame(request));
      } else if (!isAnswer(message)) return fail('stranger', 'its answer makes no sense');
      else if (!('waiting' in message)) {
        const exchange = { hello, answer: message };
        isAnswered = true;
        end();
        // Not before: a process with an open handle can't end as fast.
        socket.once('close', () => resolve(exchange));
        return;
      } else if (answerMs !== undefined) return;
      clearTimeout(timer);
      timer = setTimeout(() => fail('silent', 'it has stopped answering'), answerMs ?? AGENT_SILENCE_MS);
    };
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) if (!socket.destroyed) hear(message);
      } catch {
        fail('stranger', 'its answer makes no sense');
      }
    });
    socket.on('error', (error) => {
      const code = codeOf(error);
      // Anything else, such as a queue that is full, may come from one that is at work.
      fail(code === 'ECONNREFUSED' || code === 'ENOENT' ? 'gone' : 'silent', code ?? 'the connection failed');
    });
    socket.on('close', () => fail('silent', 'it has hung up'));
    signal?.addEventListener('abort', abandon, { once: true });
    if (signal?.aborted === true) abandon();
  });
}

function helloOf(message: unknown): AgentHello | undefined {
  if (!isJsonObject(message)) return undefined;
  const { agent, protocol, version, pid } = message;
  if (agent !== 'secrets' || typeof protocol !== 'number') return undefined;
  if (typeof version !== 'string' || version.length > 100 || typeof pid !== 'number') return undefined;
  return { agent, protocol, version, pid };
}

function isAnswer(message: unknown): message is AgentAnswer {
  return (
    isJsonObject(message) &&
    (message['waiting'] === true ||
      typeof message['refused'] === 'string' ||
      Array.isArray(message['results']) ||
      typeof message['value'] === 'string' ||
      'done' in message)
  );
}
