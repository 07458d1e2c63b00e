/** Debian's rsyslog with a configuration of its own, as whoever runs the tests: a Unix stream socket, TCP, and TLS. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCertificate } from './tls.ts';

/** For `describeWith`: the program, and its TLS, which is a package of its own. */
export const RSYSLOG_FILES = ['/usr/sbin/rsyslogd', '/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so'];

/** A message as rsyslog has parsed it. */
export interface SyslogMessage {
  readonly pri: string;
  readonly version: string;
  readonly time: string;
  readonly host: string;
  readonly app: string;
  readonly procid: string;
  readonly msgid: string;
  readonly text: string;
  readonly data: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface Rsyslog {
  /** Values of `address`. */
  readonly unix: string;
  readonly tcp: string;
  readonly tls: string;
  /** Path of the authority that signed its certificate. */
  readonly ca: string;
  messages(): readonly SyslogMessage[];
  /** All that it wrote. */
  text(): string;
  stop(): Promise<void>;
}

/** How it writes a message: by its own parsers of RFC 5424's header and structured data. */
const FIELDS: readonly (readonly [string, string])[] = [
  ['pri', 'name="pri"'],
  ['version', 'name="protocol-version"'],
  ['time', 'name="timereported" dateFormat="rfc3339"'],
  ['host', 'name="hostname" format="json"'],
  ['app', 'name="app-name" format="json"'],
  ['procid', 'name="procid" format="json"'],
  ['msgid', 'name="msgid" format="json"'],
  ['text', 'name="msg" format="json"'],
];

export async function startRsyslog(): Promise<Rsyslog> {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-rsyslog-'));
  const at = (name: string): string => join(folder, name);
  const { key, cert } = makeCertificate();
  writeFileSync(at('key.pem'), key, { mode: 0o600 });
  writeFileSync(at('cert.pem'), cert);
  const fields = FIELDS.map(
    ([name, property]) => `constant(value="\\"${name}\\":\\"") property(${property}) constant(value="\\",")`,
  );
  writeFileSync(
    at('rsyslog.conf'),
    `global(workDirectory="${folder}" maxMessageSize="64k" defaultNetstreamDriverCAFile="${at('cert.pem')}"
      defaultNetstreamDriverCertFile="${at('cert.pem')}" defaultNetstreamDriverKeyFile="${at('key.pem')}")
    module(load="imptcp")
    module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
    module(load="mmpstrucdata")
    input(type="imptcp" path="${at('socket')}" fileCreateMode="0600")
    input(type="imptcp" address="127.0.0.1" port="0" listenPortFileName="${at('tcp')}")
    input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="${at('tls')}")
    action(type="mmpstrucdata")
    template(name="line" type="list") {
      constant(value="{") ${fields.join(' ')}
      constant(value="\\"data\\":") property(name="$!rfc5424-sd") constant(value="}\\n")
    }
    action(type="omfile" file="${at('out')}" template="line")\n`,
  );
  const child = spawn('/usr/sbin/rsyslogd', ['-n', '-f', at('rsyslog.conf'), '-iNONE'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const port = (name: string): string | undefined =>
    existsSync(at(name)) ? /^\d+/.exec(readFileSync(at(name), 'utf8'))?.[0] : undefined;
  const end = Date.now() + 120_000;
  while (port('tcp') === undefined || port('tls') === undefined || !existsSync(at('socket'))) {
    if (child.exitCode !== null || Date.now() > end) {
      child.kill('SIGKILL');
      throw new Error(`rsyslogd was not ready: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const text = (): string => (existsSync(at('out')) ? readFileSync(at('out'), 'utf8') : '');
  return {
    unix: `unix:${at('socket')}`,
    tcp: `tcp://127.0.0.1:${port('tcp') as string}`,
    tls: `tls://127.0.0.1:${port('tls') as string}`,
    ca: at('cert.pem'),
    text,
    messages: () =>
      text()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as SyslogMessage),
    stop: () =>
      new Promise((resolve) => {
        const gone = (): void => {
          rmSync(folder, { recursive: true, force: true });
          resolve();
        };
        if (child.exitCode !== null) return gone();
        child.once('exit', gone);
        child.kill('SIGKILL');
      }),
  };
}
