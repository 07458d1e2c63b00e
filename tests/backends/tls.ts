/** A key and a certificate for a server of the tests on loopback, made anew by openssl. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

/** An authority for tests and a certificate of its making, for 127.0.0.1 and localhost. */
export interface TestCa {
  /** PEM file of the authority, for `ca` settings and NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** PEM of the authority itself. */
  readonly ca: string;
  /** PEM of the server's certificate and key; also in the folder as cert.pem and key.pem. */
  readonly cert: string;
  readonly key: string;
}

/** @throws Error when there is no openssl */
export function makeTestCa(folder: string): TestCa {
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=tests'],
    ...['-keyout', path('ca-key.pem'), '-out', path('ca.pem')],
  );
  openssl('req', ...newKey, '-subj', '/CN=localhost', '-keyout', path('key.pem'), '-out', path('request.pem'));
  writeFileSync(path('names.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl(
    ...['x509', '-req', '-in', path('request.pem'), '-CA', path('ca.pem'), '-CAkey', path('ca-key.pem')],
    ...['-CAcreateserial', '-days', '2', '-extfile', path('names.cnf'), '-out', path('cert.pem')],
  );
  return {
    caFile: path('ca.pem'),
    ca: readFileSync(path('ca.pem'), 'utf8'),
    cert: readFileSync(path('cert.pem'), 'utf8'),
    key: readFileSync(path('key.pem'), 'utf8'),
  };
}
