/** The double of an OpenTelemetry collector: tests/backends/otlp/receiver.py. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WORK_DIR } from './server.ts';

/** For `describeWith`. */
export const OTLP_PYTHON = join(WORK_DIR, 'otlp-venv/bin/python');

export interface OtlpRecord {
  readonly resource: { readonly attributes: readonly OtlpAttribute[] };
  readonly scope: { readonly name: string };
  readonly record: {
    readonly timeUnixNano: string;
    readonly severityNumber: string;
    readonly severityText: string;
    readonly eventName: string;
    readonly body: { readonly stringValue: string };
    readonly attributes: readonly OtlpAttribute[];
  };
  readonly authorization: string | null;
  readonly agent: string;
}

interface OtlpAttribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface OtlpReceiver {
  readonly url: string;
  records(): readonly OtlpRecord[];
  /** Everything it was sent, as it wrote it down. */
  text(): string;
  /** Answers with this status from now on; undefined: as it should. */
  answer(status: number | undefined): void;
  stop(): Promise<void>;
}

export async function startOtlp(): Promise<OtlpReceiver> {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-otlp-'));
  const out = join(folder, 'records');
  const script = fileURLToPath(new URL('otlp/receiver.py', import.meta.url));
  const child = spawn(OTLP_PYTHON, [script, out], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the receiver ended with ${code}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      const match = /port (\d+)/.exec(chunk.toString());
      if (match !== null) resolve(match[1] as string);
    });
  });
  const text = (): string => (existsSync(out) ? readFileSync(out, 'utf8') : '');
  return {
    url: `http://127.0.0.1:${port}/v1/logs`,
    text,
    records: () =>
      text()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as OtlpRecord),
    answer(status) {
      const file = join(folder, 'ANSWER');
      if (status === undefined) rmSync(file, { force: true });
      else writeFileSync(file, String(status));
    },
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => {
          rmSync(folder, { recursive: true, force: true });
          resolve();
        });
        child.kill('SIGKILL');
      }),
  };
}
