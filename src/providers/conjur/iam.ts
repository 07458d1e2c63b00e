/**
 * authn-iam: AWS vouches for the caller. Conjur gets the signed headers of a GetCallerIdentity request, sends that
 * request to AWS STS itself, and learns who signed it. Only loaded for this sign-in method. Source:
 * https://docs.cyberark.com/conjur-open-source/latest/en/content/operations/services/aws_iam_authenticator.htm
 */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { SignatureV4 } from '@smithy/signature-v4';
import { SecretsError } from '../../core/errors.ts';
import type { ProviderContext } from '../descriptor.ts';

interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** SHA-256 in the form that the signer expects. */
class Sha256 {
  readonly #secret: Uint8Array | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret);
    this.#hash = this.#start();
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(this.#hash.digest()));
  }

  reset(): void {
    this.#hash = this.#start();
  }

  #start(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** The signed headers as JSON. @throws SecretsError Usage for a region, Unauthenticated without AWS keys */
export async function signedCallerIdentity(region: string, env: ProviderContext['env']): Promise<string> {
  // Conjur accepts no other form, so that it can't be made to call another host instead of AWS.
  if (!/^[a-z]{2}(-gov)?-[a-z]+-\d$/.test(region))
    throw new SecretsError('Usage', `authn-iam knows no AWS region of the form ${JSON.stringify(region)}`);
  const signer = new SignatureV4({
    service: 'sts',
    region,
    credentials: await credentialsOf(env),
    sha256: Sha256,
  });
  const host = `sts.${region}.amazonaws.com`;
  const { headers } = await signer.sign({
    method: 'GET',
    protocol: 'https:',
    hostname: host,
    path: '/',
    query: { Action: 'GetCallerIdentity', Version: '2011-06-15' },
    headers: { host },
  });
  return JSON.stringify(headers);
}

/** Keys from the environment variables, without loading the chain; otherwise the SDK's default chain. */
async function credentialsOf(env: ProviderContext['env']): Promise<Credentials> {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: key, AWS_SESSION_TOKEN: token } = env;
  if (id && key) return { accessKeyId: id, secretAccessKey: key, ...(token && { sessionToken: token }) };
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
  try {
    return await fromNodeProviderChain()();
  } catch (thrown) {
    throw new SecretsError('Unauthenticated', 'authn-iam found no AWS credential', {
      hint: 'set AWS_* variables, or run on an AWS instance or task',
      cause: thrown,
    });
  }
}
