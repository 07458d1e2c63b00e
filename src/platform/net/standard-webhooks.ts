/** Signs webhooks according to Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0). */
import { createHmac } from 'node:crypto';
import { SecretsError } from '../../core/errors.ts';
import { utf8 } from '../../core/utf8.ts';
import { version } from '../../core/version.ts';

/** The rest of a key with this prefix is base64. */
const KEY_PREFIX = 'whsec_';

/** The bytes of a key: the base64 after `whsec_`, or the whole value as it is. @throws SecretsError Invalid */
export function signingKey(value: Uint8Array): Buffer {
  const text = utf8(value)?.trim();
  if (text?.startsWith(KEY_PREFIX) !== true) {
    if (value.length === 0) throw new SecretsError('Invalid', 'its key is empty');
    return Buffer.from(value);
  }
  const encoded = text.slice(KEY_PREFIX.length);
  if (!/^[A-Za-z0-9+/]+=*$/.test(encoded))
    throw new SecretsError('Invalid', `its key is not base64 after ${KEY_PREFIX}`);
  return Buffer.from(encoded, 'base64');
}

/** The headers of one attempt. The id is the same for all attempts, so that a receiver can recognise duplicates. */
export function headersOf(
  id: string,
  at: Date,
  body: Uint8Array,
  key: Uint8Array | undefined,
): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': `secrets/${version}`,
    'webhook-id': id,
    'webhook-timestamp': timestamp,
  };
  if (key !== undefined) {
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64');
    headers['webhook-signature'] = `v1,${signature}`;
  }
  return headers;
}
