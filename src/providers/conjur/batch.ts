/** Reading many variables in as few calls as the server lets us. */
import { settle } from '../reading.ts';
import type { GetResult } from '../provider.ts';
import type { ConjurClient } from './client.ts';
import { batchPath } from './variable.ts';

/** Longest path of a batch read, in bytes: servers and proxies take a request line of 8 KiB. */
const LONGEST_PATH = 7000;

/**
 * What a version is called that was read in a batch: the newest at that time. The API's batch answer has the values
 * alone, and asking for each number would undo the batch.
 */
export const LATEST = 'latest';

/**
 * The newest values of different names without commas.
 * @param one reads a single one, for those that a batch was refused for
 */
export async function readMany(
  client: ConjurClient,
  names: readonly string[],
  one: (name: string) => Promise<GetResult>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, GetResult>> {
  const found = new Map<string, GetResult>();
  const account = await settle(client.account());
  if (!account.ok) return new Map(names.map((name) => [name, account]));
  const batches: string[][] = [];
  let last: string[] = [];
  for (const name of names) {
    if (last.length === 0 || batchPath(account.secret, [...last, name]).length > LONGEST_PATH)
      batches.push((last = []));
    last.push(name);
  }
  await Promise.all(batches.map((batch) => readBatch(batch)));
  return found;

  /**
   * Conjur refuses a batch as a whole when one of it is missing or not allowed: the one it names is asked for by
   * itself, and where it names none each half is tried.
   */
  async function readBatch(batch: readonly string[]): Promise<void> {
    const [first] = batch;
    if (first === undefined) return;
    if (batch.length === 1) {
      found.set(first, await one(first));
      return;
    }
    const answer = await settle(client.batch(batch, signal));
    if (!answer.ok) {
      for (const name of batch) found.set(name, answer);
    } else if ('values' in answer.secret) {
      for (const [name, value] of answer.secret.values)
        found.set(name, {
          ok: true,
          secret: { name, value, id: LATEST, state: 'enabled', stages: ['current'] },
        });
    } else if ('unclear' in answer.secret) {
      await Promise.all(batch.map(async (name) => found.set(name, await one(name))));
    } else {
      const { missing } = answer.secret;
      const half = Math.ceil(batch.length / 2);
      const parts =
        missing === undefined
          ? [batch.slice(0, half), batch.slice(half)]
          : [[missing], batch.filter((name) => name !== missing)];
      await Promise.all(parts.map((part) => readBatch(part)));
    }
  }
}
