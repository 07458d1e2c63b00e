/** Certificates for tests, made with openssl: authorities, servers, clients. */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const found = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'openssl'))
  .find((path) => existsSync(path));
/** The program, for `describeWith`; a name that is no file where it isn't installed. */
export const OPENSSL = found ?? 'openssl';

/** PEM files. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

const run = (args: readonly string[]): void => {
  execFileSync(OPENSSL, args, { stdio: 'pipe' });
};
const keyArgs = (key: string): string[] =>
  '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout'.split(' ').concat(key);

export function makeAuthority(folder: string, name: string): Pair {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  run(['req', '-x509', ...keyArgs(key), '-out', cert, '-subj', `/CN=${name}`, '-days', '2']);
  return { cert, key };
}

/** A certificate of that authority. `names` are subject alternative names, such as `DNS:a.example`. */
export function makeCertificate(
  folder: string,
  name: string,
  issuer: Pair,
  names: readonly string[],
  days = 2,
): Pair {
  const [cert, key, request] = ['pem', 'key', 'csr'].map((ending) => join(folder, `${name}.${ending}`)) as [
    string,
    string,
    string,
  ];
  const extensions = join(folder, `${name}.ext`);
  writeFileSync(extensions, `subjectAltName=${names.join(',')}\n`);
  run(['req', ...keyArgs(key), '-out', request, '-subj', `/CN=${name}`]);
  const sign = [
    '-CA',
    issuer.cert,
    '-CAkey',
    issuer.key,
    '-CAcreateserial',
    '-days',
    `${days}`,
    '-extfile',
    extensions,
  ];
  run(['x509', '-req', '-in', request, '-out', cert, ...sign]);
  return { cert, key };
}
