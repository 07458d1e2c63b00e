/** The client's options for gRPC; only loaded, together with grpc-js, for a store that uses it. */
import { callbackify } from 'node:util';
import { version } from '../../core/version.ts';
import type { SignedIn } from './sign-in.ts';

export async function grpcOptions(
  signedIn: SignedIn,
  ca: string | undefined,
): Promise<{ readonly gax: unknown; readonly [option: string]: unknown }> {
  const gax = await import('google-gax');
  const { credentials, Metadata } = gax.grpc;
  const signed = callbackify(async () => {
    const metadata = new Metadata();
    for (const [name, value] of await signedIn.headers()) metadata.set(name, value);
    return metadata;
  });
  const perCall = credentials.createFromMetadataGenerator((_, done) => signed(done));
  const channel = credentials.createSsl(ca === undefined ? null : Buffer.from(ca));
  return {
    gax,
    sslCreds: credentials.combineChannelCredentials(channel, perCall),
    // All credentials come from us: the library must not look for any.
    auth: {
      getUniverseDomain: () => Promise.resolve(undefined),
      getClient: () => Promise.reject(new Error('not used')),
    },
    'grpc.primary_user_agent': `secrets/${version}`,
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
  };
}
