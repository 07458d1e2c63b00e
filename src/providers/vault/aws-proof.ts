/**
 * Proof of an AWS identity for Vault's aws auth method: an STS GetCallerIdentity request that is signed here and never
 * sent from here; Vault sends it and learns who signed it. Source:
 * https://developer.hashicorp.com/vault/docs/auth/aws#iam-auth-method
 */
import { SecretsError } from '../../core/errors.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { AuthSettings } from './settings.ts';

/** The used fields of the SDK's request. */
interface Signed {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

const SERVER_ID = 'X-Vault-AWS-IAM-Server-ID';

/** @throws SecretsError Unauthenticated if there is no AWS credential, Unavailable if `signal` aborts the search */
export async function awsProof(
  auth: AuthSettings,
  { env }: ProviderContext,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  let signed: Signed | undefined;
  const { client, request } = await signer(auth, env, (sent) => (signed = sent));
  let failure: unknown;
  // The search for a credential may ask a metadata service that doesn't exist, and ignores the signal.
  const stopped = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  try {
    await Promise.race([client.send(request), stopped]);
  } catch (thrown) {
    failure = thrown;
  } finally {
    client.destroy();
  }
  if (signal.aborted)
    throw new SecretsError('Unavailable', 'no AWS credential was found in time', {
      hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or raise --timeout',
      cause: failure,
    });
  if (signed === undefined)
    throw new SecretsError('Unauthenticated', 'AWS sign-in found no AWS credential', {
      hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE',
      cause: failure,
    });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return {
    iam_http_request_method: signed.method,
    iam_request_url: base64(`${signed.protocol}//${signed.hostname}${signed.path}`),
    iam_request_body: base64(String(signed.body)),
    iam_request_headers: base64(JSON.stringify(signed.headers)),
  };
}

/** A client that passes each signed request to the callback instead of sending it to AWS. */
async function signer(auth: AuthSettings, env: ProviderContext['env'], onSigned: (request: Signed) => void) {
  // Silences the SDK's message about old Node versions, which is meant for developers; read when the SDK loads.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const { STSClient, GetCallerIdentityCommand } = await import('@aws-sdk/client-sts');
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: session } = env;
  const client = new STSClient({
    maxAttempts: 1,
    region: auth.region ?? 'us-east-1',
    // Vault uses the global endpoint unless it is configured otherwise, and the signature is for one host.
    endpoint: `https://sts${auth.region === undefined ? '' : `.${auth.region}`}.amazonaws.com`,
    ...(id &&
      secret && {
        credentials: { accessKeyId: id, secretAccessKey: secret, ...(session && { sessionToken: session }) },
      }),
    requestHandler: {
      handle: (request: Signed) => {
        onSigned(request);
        return Promise.reject(new Error('signed'));
      },
    },
  });
  const { 'server-id': serverId } = auth;
  if (serverId !== undefined)
    client.middlewareStack.add(
      (next) => (args) => {
        (args.request as Signed).headers[SERVER_ID] = serverId;
        return next(args);
      },
      { step: 'build', name: 'vaultServerId' },
    );
  return { client, request: new GetCallerIdentityCommand({}) };
}
