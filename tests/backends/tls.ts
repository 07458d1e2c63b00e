/** A key and a certificate for a server of the tests on loopback, made anew by openssl. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface KeyPair {
  /** PEM */
  readonly key: string;
  /** PEM; its own authority, so that clients take it as `ca`. */
  readonly cert: string;
}

/** For 127.0.0.1, localhost, and more names when given. Good for two days. */
export function makeCertificate(...names: readonly string[]): KeyPair {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-tls-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const alternatives = ['IP:127.0.0.1', ...['localhost', ...names].map((name) => `DNS:${name}`)];
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=secrets tests'],
        ...['-addext', `subjectAltName=${alternatives.join(',')}`],
      ],
      { stdio: 'pipe' },
    );
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
