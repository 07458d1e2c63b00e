/** One run of the provider: listens on a socket of its own until the program that started it ends it, or is gone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { SecretsError } from '../core/errors.ts';
import { fileError } from '../platform/files.ts';
import type { Session } from '../session/session.ts';
import { clientCertificate, handshakeLine, makeCertificate } from './handshake.ts';
import { services } from './protocol.ts';
import { service } from './service.ts';
import { Sessions } from './sessions.ts';

/** How often it is checked whether the program is still there: one that was killed says nothing. */
const PARENT_MS = 2000;
/** The answer to the last call is written before the connection is cut. The program waits 2 s in all. */
const LAST_ANSWER_MS = 200;
/** Longest path of a socket on macOS, without its final NUL. Linux has 107. */
const MAX_SOCKET = 103;

/** @throws SecretsError Usage, Policy if it was not started as a provider */
export async function serve(session: Session): Promise<void> {
  const { world } = session;
  const client = clientCertificate(world);
  const certificate = await makeCertificate(world.now());
  const sessions = new Sessions(session);
  const end = ending(session);
  const server = serverFor(sessions, end.now);
  const folder = socketFolder(world.env['PLUGIN_UNIX_SOCKET_DIR'] ?? tmpdir());
  try {
    const socket = join(folder, 's');
    if (socket.length > MAX_SOCKET)
      throw new SecretsError('Usage', `the path of the provider's socket is too long: ${socket}`, {
        hint: 'set TMPDIR to a shorter one',
      });
    const pair = {
      private_key: Buffer.from(certificate.key),
      cert_chain: Buffer.from(certificate.certificate),
    };
    await listen(server, socket, ServerCredentials.createSsl(Buffer.from(client), [pair], true));
    await session.print(handshakeLine(socket, certificate));
    await end.comes;
    await closed(server);
    await sessions.close();
  } finally {
    end.forget();
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** For its owner alone: mkdtemp makes it so. */
function socketFolder(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'secrets-tf-'));
  } catch (thrown) {
    throw fileError(thrown, 'cannot create a folder for the provider’s socket', parent);
  }
}

function serverFor(sessions: Sessions, end: () => void): Server {
  const all = services();
  // A state with ten thousand names is larger than gRPC's 4 MiB.
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  server.addService(all['tfplugin6.Provider'] as ServiceDefinition, service(sessions));
  server.addService(all['plugin.GRPCController'] as ServiceDefinition, {
    Shutdown: (_call: unknown, done: (error: null, answer: object) => void) => {
      done(null, {});
      end();
    },
  });
  return server;
}

function listen(server: Server, socket: string, credentials: ServerCredentials): Promise<void> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, credentials, (error) => {
      if (error === null) resolve();
      else reject(new SecretsError('Failed', `the provider can’t listen on ${socket}`, { cause: error }));
    });
  });
}

/** Waits for answers that are on their way. */
function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, LAST_ANSWER_MS);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

interface Ending {
  readonly comes: Promise<void>;
  readonly now: () => void;
  readonly forget: () => void;
}

/**
 * The end of the provider: its program asks for it, is gone, or a signal asks for it. Ctrl-C does not: a terminal
 * sends it to the program too, which then decides what happens to calls in progress (`StopProvider`).
 */
function ending(session: Session): Ending {
  const { world } = session;
  let now = (): void => {};
  const comes = new Promise<void>((resolve) => {
    now = resolve;
  });
  session.releaseSignals();
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) now();
  }, PARENT_MS);
  const listeners = [
    world.onSignal('SIGINT', () => {}),
    world.onSignal('SIGTERM', now),
    world.onSignal('SIGHUP', now),
  ];
  const forget = (): void => {
    clearInterval(timer);
    for (const stop of listeners) stop();
  };
  return { comes, now, forget };
}
