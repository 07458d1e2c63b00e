/**
 * Sends to a syslog server over a stream: TLS (RFC 5425), TCP on this machine (RFC 6587), or a Unix stream socket.
 *
 * These protocols have no acknowledgements. Whether a server received everything shows in how the connection ends: it
 * is still open a round trip after the last record was sent, then we close it for writing, and the server, having
 * read to the end, closes it too, without an error. A server that dies, hangs or closes early doesn't get that far;
 * if it closes with unread data, TCP resets the connection.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { SecretsError } from '../../core/errors.ts';
import { codeOf } from '../../platform/files.ts';
import { readAuthority, isUntrusted } from '../../platform/net/authority.ts';
import type { Queued } from './queue.ts';
import type { Sender } from './sender.ts';
import { type GivenSink, type SyslogAddress, syslogAddress } from './settings.ts';
import { syslogFrame } from './syslog-format.ts';

type Given = Extract<GivenSink, { type: 'syslog' }>;

export function openSyslog(
  { address: text, ca: caPath, facility = 'authpriv' }: Given,
  file: string,
): Sender {
  const address = syslogAddress(text);
  if (address === undefined) throw new SecretsError('Usage', `no address of a syslog server: ${text}`);
  const ca = readAuthority(caPath, dirname(file));
  return {
    send: (records, signal) => exchange(address, text, ca, framesOf(records, facility), signal),
  };
}

function framesOf(records: readonly Queued[], facility: NonNullable<Given['facility']>): Buffer {
  return Buffer.concat(records.map(({ record, line }) => syslogFrame(record, line, facility)));
}

function open(address: SyslogAddress, ca: string | undefined): { socket: Socket; ready: string } {
  if (address.kind === 'unix') return { socket: connectPlain({ path: address.path }), ready: 'connect' };
  const host = address.host.replaceAll(/[[\]]/g, '');
  const { port } = address;
  if (address.kind === 'tcp') return { socket: connectPlain({ host, port }), ready: 'connect' };
  const servername = isIP(host) === 0 ? host : '';
  return {
    socket: connectTls({ host, port, servername, ...(ca !== undefined && { ca }) }),
    ready: 'secureConnect',
  };
}

/** The minimum to assume for a round trip: the other side has to be scheduled. */
const LEAST_TRIP_MS = 10;

function exchange(
  address: SyslogAddress,
  name: string,
  ca: string | undefined,
  frames: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const { socket, ready } = open(address, ca);
  const began = Date.now();
  let timer: NodeJS.Timeout | undefined;
  return new Promise<void>((done, fail) => {
    let isEnding = false;
    const refuse = (message: string, cause?: unknown): void => {
      fail(new SecretsError('Unavailable', `${name} ${message}`, { cause }));
      socket.destroy();
    };
    const onAbort = (): void =>
      refuse(isEnding ? 'did not close the connection after the last record' : 'did not answer in time');
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    socket.on('error', (thrown) => refuse(reasonOf(thrown, address), thrown));
    socket.once(ready, () => {
      const trip = Math.max(2 * (Date.now() - began), LEAST_TRIP_MS);
      socket.write(frames, (error) => {
        if (error) return;
        timer = setTimeout(() => {
          isEnding = true;
          socket.end();
        }, trip);
      });
    });
    socket.once('end', () => {
      if (!isEnding) refuse('closed the connection before it had everything');
    });
    // A syslog server sends nothing; if it does, ignore it.
    socket.resume();
    socket.once('close', (hadError) => {
      signal.removeEventListener('abort', onAbort);
      if (isEnding && !hadError) done();
      else refuse('closed the connection before it had everything');
    });
  }).finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function reasonOf(thrown: unknown, address: SyslogAddress): string {
  const code = codeOf(thrown) ?? 'failed';
  if (isUntrusted(code)) return `has a certificate that is not trusted (${code})`;
  // Node has no Unix datagram sockets.
  if (code === 'EPROTOTYPE' && address.kind === 'unix')
    return 'is a datagram socket, and only stream sockets can be sent to';
  return `can’t be reached (${code})`;
}
