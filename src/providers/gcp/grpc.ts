/** The client's options for gRPC; loaded, with grpc-js, only for a store that asks for it. */
import type { SignedIn } from './sign-in.ts';

export async function grpcOptions(signedIn: SignedIn, ca: string | undefined): Promise<{ readonly gax: unknown; readonly [option: string]: unknown }> {
  const gax = await import('google-gax');
  const { credentials, Metadata } = gax.grpc;
  const perCall = credentials.createFromMetadataGenerator((_, done) => {
    signedIn.headers().then(
      (headers) => {
        const metadata = new Metadata();
        for (const [name, value] of headers) metadata.set(name, value);
        done(null, metadata);
      },
      (error: Error) => done(error),
    );
  });
  const channel = credentials.createSsl(ca === undefined ? null : Buffer.from(ca));
  return {
    gax,
    sslCreds: credentials.combineChannelCredentials(channel, perCall),
    // Credentials are all ours: the library must look for none.
    auth: {
      getUniverseDomain: () => Promise.resolve(undefined),
      getClient: () => Promise.reject(new Error('not used')),
    },
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
  };
}
