/** Where records are sent: the `audit.sinks` of a secrets.yaml, and their validation. Loads nothing. */
import { urlProblem } from '../../platform/net/address.ts';
import type { TrustItem } from '../../core/trust.ts';
import { isLoopback } from '../../platform/net/address.ts';

/** A sink as written in a file. */
export type GivenSink =
  | {
      readonly type: 'syslog';
      /** `unix:PATH`, `tcp://HOST:PORT` or `tls://HOST:PORT`. */
      readonly address: string;
      readonly ca?: string | undefined;
      readonly facility?: Facility | undefined;
      readonly hold?: string | undefined;
    }
  | {
      readonly type: 'otlp';
      /** The whole URL, such as `https://collector.example:4318/v1/logs`. */
      readonly url: string;
      /** Reference of the secret that contains the headers. */
      readonly headers?: string | undefined;
      readonly ca?: string | undefined;
      readonly hold?: string | undefined;
    }
  | {
      readonly type: 'webhook';
      readonly url: string;
      /** Reference of the signing key. */
      readonly secret?: string | undefined;
      readonly ca?: string | undefined;
      readonly hold?: string | undefined;
    };

/** A sink that is in use. */
export interface Sink {
  readonly name: string;
  readonly given: GivenSink;
  /** The file that configures it; relative paths start at its folder. */
  readonly file: string;
  readonly source: 'user' | 'project';
}

/** RFC 5424, table 1: the facilities that an application may use. */
export const FACILITIES = {
  user: 1,
  daemon: 3,
  auth: 4,
  authpriv: 10,
  audit: 13,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;
export type Facility = keyof typeof FACILITIES;

/**
 * The default of `hold`: how long the log keeps records that a sink hasn't received, if retention would remove them
 * sooner.
 */
export const DEFAULT_HOLD = '30d';

export type SyslogAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp' | 'tls'; readonly host: string; readonly port: number };

/** RFC 5425, section 4.1. */
const TLS_PORT = 6514;

export function syslogAddress(text: string): SyslogAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '');
    return path.startsWith('/') && Buffer.byteLength(path) < 108 ? { kind: 'unix', path } : undefined;
  }
  const match = /^(tcp|tls):\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const [, kind = '', host = '', digits] = match;
  const port = digits === undefined ? (kind === 'tls' ? TLS_PORT : 0) : Number(digits);
  if (port < 1 || port > 65_535) return undefined;
  return { kind: kind as 'tcp' | 'tls', host, port };
}

/** What is wrong with a sink: the key, the message and a hint; undefined if nothing is. */
export function sinkProblem(
  sink: GivenSink,
): { readonly key: string; readonly message: string; readonly hint: string } | undefined {
  if (sink.type !== 'syslog') {
    const [key, reference] =
      sink.type === 'otlp' ? (['headers', sink.headers] as const) : (['secret', sink.secret] as const);
    // A bare name would mean a different secret wherever the default store is different.
    if (reference !== undefined && !/^[a-z][a-z0-9_-]{0,63}:\/\/./.test(reference))
      return { key, message: 'must be a reference that names its store', hint: 'such as ops://audit/key' };
    const problem = urlProblem(sink.url);
    if (problem === undefined) return undefined;
    const hint = {
      none: 'https://HOST/PATH',
      credentials:
        sink.type === 'otlp'
          ? 'keep headers in a secret: headers: REF'
          : 'let the receiver check the signature: secret: REF',
      plain: 'use TLS; ca names an authority of your own',
    }[problem.what];
    return { key: 'url', message: problem.message, hint };
  }
  const address = syslogAddress(sink.address);
  if (address === undefined)
    return {
      key: 'address',
      message: 'is not the address of a syslog server',
      hint: 'unix:/PATH (a stream socket), tls://HOST:PORT, or tcp://127.0.0.1:PORT',
    };
  if (address.kind === 'tcp' && !isLoopback(address.host))
    return {
      key: 'address',
      message: 'must be tls://: tcp:// is for loopback addresses only',
      hint: 'RFC 5425: tls://HOST:6514',
    };
  if (sink.ca !== undefined && address.kind !== 'tls')
    return { key: 'ca', message: 'goes with tls:// alone', hint: 'leave it away' };
  return undefined;
}

/** The trust that this sink needs if it comes from a found secrets.yaml. */
export function sinkTrustItems(sink: GivenSink): readonly TrustItem[] {
  const [key, value] = sink.type === 'syslog' ? ['address', sink.address] : ['url', sink.url];
  const items: TrustItem[] = [
    { setting: key, value, effect: 'the records of your accesses, to any secret, are sent to this server' },
  ];
  if (sink.type === 'webhook' && sink.secret !== undefined)
    items.push({
      setting: 'secret',
      value: sink.secret,
      effect: 'this secret is read, and signs what is sent there',
    });
  if (sink.type === 'otlp')
    items.push({
      setting: sink.headers === undefined ? 'type' : 'headers',
      value: sink.headers ?? sink.type,
      effect:
        sink.headers === undefined
          ? 'the headers of OTEL_EXPORTER_OTLP_HEADERS, which may let in, are sent there'
          : 'this secret is read, and sent there as headers',
    });
  if (sink.ca !== undefined)
    items.push({
      setting: 'ca',
      value: sink.ca,
      effect: 'servers with certificates of this authority are believed',
    });
  if (sink.hold !== undefined)
    items.push({
      setting: 'hold',
      value: sink.hold,
      effect: 'files of your log are kept so long for this server, beyond your own rule',
    });
  return items;
}

/** The receiver's name in messages. The path and query of a URL may contain credentials, so they aren't shown. */
export function receiverOf(sink: GivenSink): string {
  return sink.type === 'syslog' ? sink.address : new URL(sink.url).origin;
}
