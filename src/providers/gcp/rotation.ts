/**
 * Google's rotation: at the scheduled time a message goes to a Pub/Sub topic, and its subscriber creates a version.
 * https://cloud.google.com/secret-manager/docs/secret-rotation
 *
 * The service doesn't report whether a message was delivered or what its subscriber did: only a new version shows that.
 */
import { IN_DOUBT, SecretsError, toSecretsError } from '../../core/errors.ts';
import type { CallOptions } from '../call.ts';
import type {
  NativeChange,
  NativeProgress,
  NativeRotations,
  NativeStart,
  NativeWish,
} from '../capabilities/rotation.ts';
import type { NativeRotation } from '../../core/rotation/native.ts';
import { inDoubt } from './errors.ts';
import { lastPart } from './names.ts';
import { dateOf, nativeOf, NOTE, periodText, type RawSecret, timestamp } from './resources.ts';
import type { GcpStore } from './store.ts';

/** Sources: the reference's descriptions of `nextRotationTime` and `rotationPeriod`. */
const EARLIEST_MS = 5 * 60_000;
const SHORTEST_MS = 3_600_000;
/** Allows for the duration of the request and small clock differences. */
const MARGIN_MS = 15_000;

interface Target {
  readonly topic: string;
  readonly everyMs: number | undefined;
  readonly next: Date;
}

export class GcpRotations implements NativeRotations {
  readonly #store: GcpStore;
  readonly #idOf: (name: string) => string;

  constructor(store: GcpStore, idOf: (name: string) => string) {
    this.#store = store;
    this.#idOf = idOf;
  }

  async read(name: string, { signal }: CallOptions): Promise<NativeRotation | undefined> {
    const id = this.#idOf(name);
    const native = nativeOf(await this.#live(id, signal));
    return native === undefined ? undefined : { ...native, lastRotated: await this.#changedAt(id, signal) };
  }

  async plan(name: string, wish: NativeWish, { signal }: CallOptions): Promise<readonly NativeChange[]> {
    return differences(await this.#live(this.#idOf(name), signal), wish);
  }

  async set(name: string, wish: NativeWish, { signal }: CallOptions): Promise<void> {
    const id = this.#idOf(name);
    const { everyMs } = wish;
    if (everyMs === undefined)
      throw new SecretsError('Usage', 'the policy has no interval', { hint: 'add every' });
    const changedAt = await this.#changedAt(id, signal);
    await this.#update(id, signal, (secret) => {
      if (differences(secret, wish).length === 0) return undefined;
      const due = (changedAt?.getTime() ?? Date.now()) + everyMs;
      return { topic: topicOf(wish), everyMs, next: new Date(Math.max(due, earliest())) };
    });
  }

  async remove(name: string, { signal }: CallOptions): Promise<void> {
    // Topics receive other events, too, so they stay.
    await this.#update(this.#idOf(name), signal, ({ rotation }) => (rotation ? 'none' : undefined));
  }

  async start(name: string, wish: NativeWish, _token: string, { signal }: CallOptions): Promise<NativeStart> {
    const id = this.#idOf(name);
    const before = String(await this.#store.newest(id, signal));
    const next = new Date(earliest());
    const current = await this.#live(id, signal);
    const everyMs = wish.everyMs ?? nativeOf(current)?.everyMs;
    await this.#update(id, signal, () => ({ topic: topicOf(wish), everyMs, next }));
    return { before, at: new Date(), startsAt: next };
  }

  async watch(name: string, start: NativeStart, { signal }: CallOptions): Promise<NativeProgress> {
    const id = this.#idOf(name);
    const newest = await this.#store.version(id, 'latest', signal).catch((thrown: unknown) => {
      if (toSecretsError(thrown).kind !== 'NotFound') throw thrown;
      return undefined;
    });
    const number = newest === undefined ? '0' : lastPart(newest.name);
    if (Number(number) > Number(start.before ?? number) && newest?.state === 'ENABLED')
      return { state: 'done', version: number, detail: 'a new version has come' };
    const at = start.startsAt ?? start.at;
    const told = at.getTime() <= Date.now();
    return {
      state: 'running',
      detail: told
        ? `the topic was told at ${clock(at)}; no new version yet`
        : `the topic will be told at ${clock(at)}, the earliest that Google takes`,
      hint: 'whether its receiver works is in the receiver’s own log',
    };
  }

  async #live(id: string, signal: AbortSignal): Promise<RawSecret> {
    const secret = await this.#store.secret(id, signal);
    if (secret.annotations?.[NOTE.deleted] !== undefined) throw new SecretsError('NotFound', 'is deleted');
    return secret;
  }

  async #changedAt(id: string, signal: AbortSignal): Promise<Date | undefined> {
    try {
      return dateOf((await this.#store.version(id, 'latest', signal)).createTime);
    } catch (thrown) {
      const { kind } = toSecretsError(thrown);
      if (kind !== 'NotFound' && kind !== 'Denied') throw thrown;
      return undefined;
    }
  }

  /** Changes the rotation under the secret's etag; repeated if somebody else was faster. */
  async #update(
    id: string,
    signal: AbortSignal,
    change: (secret: RawSecret) => Target | 'none' | undefined,
  ): Promise<void> {
    for (;;) {
      const secret = await this.#live(id, signal);
      const wanted = change(secret);
      if (wanted === undefined) return;
      try {
        await this.#send(secret, wanted, signal);
        return;
      } catch (thrown) {
        const error = toSecretsError(thrown);
        if (error.kind === 'Conflict') continue;
        if (!inDoubt(error) || signal.aborted) throw this.#explained(error);
        const after = await this.#store.find(id, signal).catch(() => undefined);
        const next = dateOf(after?.rotation?.nextRotationTime)?.getTime();
        if (after === undefined || next !== (wanted === 'none' ? undefined : wanted.next.getTime()))
          throw error;
        return;
      }
    }
  }

  async #send(
    { name, etag, topics }: RawSecret,
    wanted: Target | 'none',
    signal: AbortSignal,
  ): Promise<void> {
    const service = this.#store.service;
    if (wanted === 'none') {
      await service.call(
        'updateSecret',
        { secret: { name, etag }, updateMask: { paths: ['rotation'] } },
        signal,
      );
      return;
    }
    const { topic, everyMs, next } = wanted;
    const others = (topics ?? []).filter((one) => one.name !== topic);
    const secret = {
      name,
      etag,
      topics: [...others, { name: topic }],
      rotation: {
        nextRotationTime: timestamp(next),
        ...(everyMs !== undefined && { rotationPeriod: { seconds: Math.round(everyMs / 1000) } }),
      },
    };
    const answer = await service.call<RawSecret>(
      'updateSecret',
      { secret, updateMask: { paths: ['topics', 'rotation'] } },
      signal,
    );
    if (!answer.name)
      throw new SecretsError('Unavailable', 'the response is not from Secret Manager' + IN_DOUBT, {
        hint: 'check the endpoint: secrets doctor',
      });
  }

  /** Explains the refusal of a topic: the service agent of the secret's project may not publish to it. */
  #explained(error: SecretsError): SecretsError {
    if (error.kind !== 'Invalid' || !/topic|publish/i.test(error.message)) return error;
    return new SecretsError('Invalid', error.message, {
      hint: 'Secret Manager’s service agent needs roles/pubsub.publisher on the topic',
      cause: error,
    });
  }
}

function topicOf({ settings }: NativeWish): string {
  const { topic } = settings;
  if (topic === undefined) throw new TypeError('the schema wants it');
  return topic;
}

/** @throws SecretsError Invalid */
function differences(secret: RawSecret, wish: NativeWish): readonly NativeChange[] {
  const changes: NativeChange[] = [];
  const { everyMs } = wish;
  if (everyMs !== undefined && everyMs < SHORTEST_MS)
    throw new SecretsError('Invalid', 'gcp rotates every hour at most');
  const topic = topicOf(wish);
  const topics = (secret.topics ?? []).map(({ name }) => name ?? '');
  if (!topics.includes(topic))
    changes.push({ setting: 'topic', from: topics.length > 0 ? topics.join(', ') : undefined, to: topic });
  const period = nativeOf(secret)?.everyMs;
  if (everyMs !== undefined && period !== everyMs)
    changes.push({
      setting: 'every',
      from: period === undefined ? undefined : periodText(period),
      to: periodText(everyMs),
    });
  return changes;
}

const earliest = (): number => Date.now() + EARLIEST_MS + MARGIN_MS;

const clock = (date: Date): string => `${date.toISOString().slice(11, 16)}Z`;
