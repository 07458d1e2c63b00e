/** Reads many variables in as few calls as the server allows. */
import { settle } from '../reading.ts';
import type { GetResult } from '../provider.ts';
import type { ConjurClient } from './client.ts';
import { batchPath } from './variable.ts';

/** The longest path of a batch read, in bytes: servers and proxies accept a request line of 8 KiB. */
const LONGEST_PATH = 7000;

/**
 * The version id after a batch read: the newest at that time. The API's batch response contains only values, and
 * requesting each number would defeat the purpose of the batch.
 */
export const LATEST = 'latest';

/**
 * The newest values of distinct names without commas.
 * @param one reads a single variable, for those that a batch was refused for
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
   * Conjur refuses a whole batch if one variable is missing or not allowed. If it names the variable, that one is read
   * individually; otherwise each half is tried.
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
