/** Generates key pairs with node:crypto, in common formats; libraries write the formats of OpenSSH and PKCS #10. */
import { generateKeyPair, type KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { promisify } from 'node:util';
import type { GenerateSpec, KeyType } from './kinds.ts';

type KeySpec = Extract<GenerateSpec, { kind: 'key' }>;
interface Pair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export type Parts = Readonly<Record<string, string>>;

/** `private-key`, `public-key` and, for TLS, `csr`. */
export async function keyPair(spec: KeySpec): Promise<Parts> {
  const pair = await makePair(spec.key);
  if (spec.format === 'ssh') return sshParts(pair);
  return spec.format === 'tls' ? { ...pemParts(pair), csr: await request(pair, spec) } : pemParts(pair);
}

function makePair(key: KeyType): Promise<Pair> {
  const make = promisify(generateKeyPair);
  if (key.type === 'rsa') return make('rsa', { modulusLength: key.bits });
  return key.type === 'ec' ? make('ec', { namedCurve: key.curve }) : make('ed25519', {});
}

function pemParts({ privateKey, publicKey }: Pair): { 'private-key': string; 'public-key': string } {
  return {
    'private-key': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'public-key': publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

async function sshParts(pair: Pair): Promise<{ 'private-key': string; 'public-key': string }> {
  const { parsePrivateKey } = (await import('sshpk')).default;
  const key = parsePrivateKey(pemParts(pair)['private-key'], 'pkcs8');
  // Otherwise the library writes the comment "(unnamed)".
  key.comment = '';
  const publicKey = key.toPublic();
  publicKey.comment = '';
  return {
    'private-key': `${key.toString('ssh-private').trimEnd()}\n`,
    'public-key': publicKey.toString('ssh').trimEnd(),
  };
}

/** A PKCS #10 request (RFC 2986) with the names as subjectAltName. The first name is the common name, as CAs expect. */
async function request(pair: Pair, spec: KeySpec): Promise<string> {
  // The library finds its parts through decorators, which need this.
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } =
    await import('@peculiar/x509');
  const hash = spec.key.type === 'ec' && spec.key.curve !== 'P-256' ? 'SHA-384' : 'SHA-256';
  const algorithm =
    spec.key.type === 'rsa'
      ? { name: 'RSASSA-PKCS1-v1_5', hash }
      : spec.key.type === 'ec'
        ? { name: 'ECDSA', namedCurve: spec.key.curve }
        : { name: 'Ed25519' };
  const { subtle } = webcrypto;
  const privateDer = pair.privateKey.export({ type: 'pkcs8', format: 'der' });
  const publicDer = pair.publicKey.export({ type: 'spki', format: 'der' });
  const keys = {
    privateKey: await subtle.importKey('pkcs8', privateDer, algorithm, true, ['sign']),
    publicKey: await subtle.importKey('spki', publicDer, algorithm, true, ['verify']),
  };
  const [first = ''] = spec.names;
  const csr = await Pkcs10CertificateRequestGenerator.create(
    {
      // X.520 limits a common name to 64 characters.
      name: first.length > 64 ? [] : [{ CN: [first] }],
      keys,
      signingAlgorithm: { ...algorithm, hash } as never,
      extensions: [
        new SubjectAlternativeNameExtension(
          spec.names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
        ),
      ],
    },
    webcrypto as never,
  );
  return csr.toString('pem');
}
