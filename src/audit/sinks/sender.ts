/** What each kind of sink can do: take records, all of them or with an error. */
import type { World } from '../../platform/world.ts';
import type { Queued } from './queue.ts';

/** What a sender works with. */
export interface SinkContext {
  readonly world: Pick<World, 'env' | 'now'>;
  /** The value of a secret that the sink's settings name; read once. @throws SecretsError */
  readonly secret: (reference: string) => Promise<Uint8Array>;
}

/** A sink that is ready to be sent to. */
export interface Sender {
  /**
   * Sends the records, in order. When this resolves, the receiver has said that it has them, in the way of its protocol.
   * @throws SecretsError Unavailable and others; then it may have none, some or all of them
   */
  send(records: readonly Queued[], signal: AbortSignal, ms: number): Promise<void>;
}
