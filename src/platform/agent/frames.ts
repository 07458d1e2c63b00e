/** Messages on the agent's socket: JSON in UTF-8, each after its length in four bytes (big-endian). */
import { utf8 } from '../../core/utf8.ts';

/** The longest request: names and settings. */
export const MOST_REQUEST_BYTES = 1024 * 1024;
/** The longest answer: the values of one batch, in base64. */
export const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

export function frame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}

/** What comes from the other side breaks the protocol. Says what, never what it contains. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Puts a stream's chunks together to messages. Holds no more than one message. */
export class FrameReader {
  readonly #most: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** @returns the messages that this chunk completes. @throws FrameError */
  push(chunk: Uint8Array): readonly unknown[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const messages: unknown[] = [];
    while (this.#bytes >= 4) {
      const length = this.#joined(4).readUInt32BE();
      // Before anything more is kept: the length is a claim.
      if (length > this.#most) throw new FrameError(`a message of ${length} bytes is too long`);
      if (this.#bytes < 4 + length) break;
      const all = this.#joined(this.#bytes);
      messages.push(parse(all.subarray(4, 4 + length)));
      this.#chunks = [all.subarray(4 + length)];
      this.#bytes -= 4 + length;
    }
    return messages;
  }

  /** The first chunk, which has at least this many bytes afterwards. */
  #joined(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first === undefined || first.length < bytes) this.#chunks = [Buffer.concat(this.#chunks)];
    const [joined = new Uint8Array()] = this.#chunks;
    return Buffer.from(joined.buffer, joined.byteOffset, joined.byteLength);
  }
}

function parse(body: Uint8Array): unknown {
  const text = utf8(body);
  if (text === undefined) throw new FrameError('a message is not UTF-8');
  try {
    return JSON.parse(text);
  } catch {
    throw new FrameError('a message is not JSON');
  }
}
