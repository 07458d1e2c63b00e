/**
 * How OpenTofu and Terraform start a plugin (HashiCorp's go-plugin): by variables of its environment, and one line on
 * its stdout. Both sides make a certificate for this run, and each accepts only the other's.
 */
import { randomBytes, webcrypto } from 'node:crypto';
import { SecretsError } from '../core/errors.ts';
import type { World } from '../platform/world.ts';
import { PROTOCOL } from './protocol.ts';

/** Set by both programs for every provider: no secret, but a sign that a person has not started it. */
const COOKIE = 'd602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2';

/** The first versions with ephemeral resources and write-only attributes. */
export const NEEDED = 'use OpenTofu 1.11 or Terraform 1.11, or a later version';

export function isStartedByProgram({ env }: Pick<World, 'env'>): boolean {
  return env['TF_PLUGIN_MAGIC_COOKIE'] === COOKIE;
}

/**
 * The certificate of the program, in PEM.
 * @throws SecretsError Usage if it was started otherwise, or speaks another protocol; Policy without a certificate
 */
export function clientCertificate(world: Pick<World, 'env'>): string {
  if (!isStartedByProgram(world))
    throw new SecretsError('Usage', 'OpenTofu and Terraform start this command', {
      hint: 'run secrets terraform install, then tofu init',
    });
  const { PLUGIN_PROTOCOL_VERSIONS: versions = '', PLUGIN_CLIENT_CERT: certificate = '' } = world.env;
  if (!versions.split(',').includes(String(PROTOCOL)))
    throw new SecretsError('Usage', `the provider needs plugin protocol ${PROTOCOL}`, {
      hint: NEEDED,
    });
  if (certificate === '')
    throw new SecretsError('Policy', 'the connection to the provider would not be encrypted', {
      hint: 'unset TF_DISABLE_PLUGIN_TLS',
    });
  return certificate;
}

export interface Certificate {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
  readonly der: Uint8Array;
}

const DAY_MS = 86_400_000;
const CLOCK_MS = 30_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** A certificate for this run, signed by itself: the program gets it over the pipe that it has started this with. */
export async function makeCertificate(now: Date): Promise<Certificate> {
  // The library finds its parts through decorators, which need this.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { digitalSignature, keyEncipherment, keyAgreement, keyCertSign } = x509.KeyUsageFlags;
  const usages = digitalSignature | keyEncipherment | keyAgreement | keyCertSign;
  const made = await x509.X509CertificateGenerator.createSelfSigned(
    {
      // A serial number is positive.
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      name: 'CN=localhost,O=secrets',
      notBefore: new Date(now.getTime() - CLOCK_MS),
      notAfter: new Date(now.getTime() + DAY_MS),
      keys: keys as never,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(usages, true),
        new x509.ExtendedKeyUsageExtension([CLIENT_AUTH, SERVER_AUTH]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]),
      ],
    },
    webcrypto as never,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = key.replaceAll(/.{64}/g, '$&\n');
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
    certificate: made.toString('pem'),
    der: new Uint8Array(made.rawData),
  };
}

/** The line that says where the plugin listens: go-plugin's version, the protocol's, the address, the certificate. */
export function handshakeLine(socket: string, { der }: Certificate): string {
  const certificate = Buffer.from(der).toString('base64').replace(/=+$/, '');
  return `1|${PROTOCOL}|unix|${socket}|grpc|${certificate}\n`;
}
