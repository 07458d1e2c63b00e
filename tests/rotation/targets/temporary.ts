import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAuthority, makeCertificate } from '../../backends/certificates.ts';
import type { KeyPair } from '../../backends/tls.ts';

/** A folder of a test's own. */
export function makeTemporary(): { readonly folder: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-target-'));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A server's certificate for these names, and the authority that made it. */
export function makeServerCertificate(
  folder: string,
  ...names: readonly string[]
): KeyPair & { readonly ca: string } {
  const ca = makeAuthority(folder, `ca-${names.length}`);
  const { cert, key } = makeCertificate(folder, `server-${names.length}`, ca, names);
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8'), ca: ca.cert };
}
