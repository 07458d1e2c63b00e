/** Computes PostgreSQL's stored form of a password, so that no statement contains the password itself. */
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { SecretsError } from '../../../core/errors.ts';

/** PostgreSQL's own default (scram_iterations). */
const ITERATIONS = 4096;

/** @throws SecretsError Invalid for a password that the server would normalise first (SASLprep, RFC 4013) */
export function checkPassword(password: string): void {
  if (/^[ -~]+$/.test(password)) return;
  throw new SecretsError('Invalid', 'the password contains characters beyond printable ASCII', {
    hint: 'use a generator without them: alnum, ascii or hex',
  });
}

/**
 * `SCRAM-SHA-256$ITERATIONS:SALT$StoredKey:ServerKey`, which ALTER ROLE accepts instead of a password. Sources:
 * https://www.postgresql.org/docs/current/catalog-pg-authid.html and RFC 5802 §3, RFC 7677.
 * @throws SecretsError Invalid
 */
export async function scramVerifier(password: string, salt: Uint8Array = randomBytes(16)): Promise<string> {
  checkPassword(password);
  const salted = await promisify(pbkdf2)(password, salt, ITERATIONS, 32, 'sha256');
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64');
  const encodedSalt = Buffer.from(salt).toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${encodedSalt}$${stored}:${hmac('Server Key').toString('base64')}`;
}
