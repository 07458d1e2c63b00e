/** Starts the real servers that tests talk to, and says how to get one that is missing. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeNeeding, INSTALL } from '../needs.ts';

/** Where `npm run backends` puts what it installs. */
export const WORK_DIR =
  process.env['SECRETS_BACKENDS_DIR'] ?? fileURLToPath(new URL('../../.work', import.meta.url));

export interface Server {
  readonly url: string;
  readonly port: number;
  /** What it printed so far, for a test that reads a token from it. */
  output(): string;
  stop(): Promise<void>;
}

/**
 * A port that nobody has. Below those that the system gives to connections and to servers that leave the choice to it
 * (from 32768, ip(7)), so that none of these takes it before it is used, or while a test wants nobody to listen there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    return port;
  }
}

export interface StartOptions {
  readonly command: string;
  readonly args: (port: number) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Waits until the output matches; without it, until the port accepts. */
  readonly ready?: RegExp;
  readonly timeoutMs?: number;
}

/** Starts one server on a free port of 127.0.0.1 and waits until it is ready. */
export async function startServer(options: StartOptions): Promise<Server> {
  const port = await freePort();
  const child = spawn(options.command, [...options.args(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-100_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const end = Date.now() + (options.timeoutMs ?? 60_000);
  while (!(options.ready === undefined ? await accepts(port) : options.ready.test(output))) {
    if (child.exitCode !== null)
      throw new Error(`${options.command} ended with ${child.exitCode}: ${output}`);
    if (Date.now() > end) {
      await stop(child);
      throw new Error(`${options.command} was not ready in time: ${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { url: `http://127.0.0.1:${port}`, port, output: () => output, stop: () => stop(child) };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** What the reader of the table of skipped tests knows a file by; anything else by the file's own name. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/vault-server$/, 'Vault'],
  [/vault-cli-/, "Vault's command line"],
  [/spring-vault/, 'Spring Vault (with Java and Maven)'],
  [/external-secrets$/, "External Secrets' provider"],
  [/vault-provider-/, "Vault's provider for OpenTofu"],
  [/consul-template-/, 'consul-template'],
  [/moto-venv/, 'moto (AWS)'],
  [/drongo-venv/, 'drongo (Google)'],
  [/otlp-venv/, 'an OTLP receiver'],
  [/ansible-venv/, 'Ansible'],
  [/localstack-venv/, 'LocalStack (with Python 3.13)'],
  [/kubernetes-validate-venv/, 'kubernetes-validate'],
  [/check-jsonschema-venv/, 'check-jsonschema'],
  [/actionlint/, 'actionlint'],
  [/tofu-/, 'OpenTofu'],
  [/postgres-18/, 'PostgreSQL 18'],
  [/postgresql\//, 'PostgreSQL'],
  [/mysql\/usr/, 'MySQL'],
  [/mariadb/, 'MariaDB'],
  [/rsyslog/, 'rsyslog'],
  [/chromium/, 'Chromium'],
  [/gnome-keyring|dbus/, 'a key chain (gnome-keyring, dbus)'],
];

/**
 * `describe` for tests that need a backend, known by files that are there when it is installed; see tests/needs.ts.
 * @param optional also in CI it may be missing: what it is made of has no fixed version that can always be had
 */
export function describeWith(
  title: string,
  files: readonly string[],
  body: () => void,
  optional = false,
): void {
  const missing = new Set(
    files
      .filter((file) => !existsSync(file))
      .map((file) => NAMES.find(([pattern]) => pattern.test(file))?.[1] ?? basename(file)),
  );
  const needs = [...missing].map((name) => ({ name, met: false, how: INSTALL, installable: !optional }));
  describeNeeding(...needs)(title, body);
}
