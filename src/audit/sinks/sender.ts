/** The interface of each kind of sink: accept records, all of them or fail. */
import type { World } from '../../platform/world.ts';
import type { Queued } from './queue.ts';

export interface SinkContext {
  readonly world: Pick<World, 'env' | 'now'>;
  /** The value of a secret that the sink's settings refer to; read once. @throws SecretsError */
  readonly secret: (reference: string) => Promise<Uint8Array>;
}

/** A sink that is ready to send. */
export interface Sender {
  /**
   * Sends the records, in order. When it resolves, the receiver has confirmed them in the way of its protocol.
   * @throws SecretsError Unavailable and others; the receiver may then have none, some or all of them
   */
  send(records: readonly Queued[], signal: AbortSignal, ms: number): Promise<void>;
}
