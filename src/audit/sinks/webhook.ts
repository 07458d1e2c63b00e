/** Posts batches of records to a URL, signed according to Standard Webhooks. */
import { dirname } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { readAuthority } from '../../platform/net/authority.ts';
import { headersOf, signingKey } from '../../platform/net/standard-webhooks.ts';
import { exchange } from '../../platform/net/exchange.ts';
import type { Queued } from './queue.ts';
import type { Sender, SinkContext } from './sender.ts';
import type { GivenSink } from './settings.ts';

type Given = Extract<GivenSink, { type: 'webhook' }>;

export async function openWebhook(
  { url, secret, ca }: Given,
  file: string,
  { world, secret: read }: SinkContext,
): Promise<Sender> {
  const key = secret === undefined ? undefined : signingKey(await read(secret));
  const authority = readAuthority(ca, dirname(file));
  const post = async (records: readonly Queued[], signal: AbortSignal): Promise<void> => {
    const id = idOf(records);
    const body = Buffer.from(bodyOf(id, records));
    const { status } = await exchange(
      url,
      'POST',
      headersOf(id, world.now(), body, key),
      body,
      authority,
      '',
      signal,
    );
    if (status >= 200 && status < 300) return;
    if (status === 413 && records.length > 1) {
      const half = records.length >> 1;
      await post(records.slice(0, half), signal);
      return post(records.slice(half), signal);
    }
    throw new SecretsError('Unavailable', `${new URL(url).origin} answered with status ${status}`);
  };
  return { send: post };
}

/** The same id for the same records, so that a receiver recognises a batch that is sent again. */
function idOf(records: readonly Queued[]): string {
  const [first, last] = [records[0]?.record, records.at(-1)?.record];
  return `audit-${first?.seq ?? 0}-${last?.seq ?? 0}-${last?.hash.slice(0, 16) ?? ''}`;
}

/** The lines exactly as in the log, because their hashes are computed from these bytes. */
function bodyOf(id: string, records: readonly Queued[]): string {
  const head = JSON.stringify({ version: 1, type: 'secrets.audit', id }).slice(0, -1);
  return `${head},"records":[${records.map(({ line }) => line).join(',')}]}`;
}
