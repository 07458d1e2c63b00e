/** Logs for tests: a folder of their own, events, and processes that write. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditLogOptions } from '../../src/audit/log/log-settings.ts';
import { openAuditLog } from '../../src/audit/log/log.ts';
import { canonicalJson, hashOf, NO_HASH } from '../../src/core/audit/chain.ts';
import type { AuditLog, AuditRecord } from '../../src/core/audit/record.ts';
import { bundled } from '../shared.ts';
import type { WriterTask } from './events.ts';

export interface LogPlace {
  readonly root: string;
  readonly folder: string;
  readonly path: string;
  readonly options: AuditLogOptions;
  open(more?: Partial<AuditLogOptions>): AuditLog;
  /** The lines of the current file. */
  lines(): string[];
  records(): AuditRecord[];
  /** The lines of all files, oldest first, and their records. */
  all(): string[];
  whole(): AuditRecord[];
  /** The secrets that all whole records of accesses name, in order. */
  access(): (string | undefined)[];
  files(): string[];
  write(lines: readonly string[]): void;
  writeText(text: string): void;
  remove(): void;
}

export function logPlace(): LogPlace {
  const root = mkdtempSync(join(tmpdir(), 'secrets-audit-'));
  const folder = join(root, 'state/audit');
  const path = join(folder, 'audit.jsonl');
  const options: AuditLogOptions = {
    path,
    stateFolder: join(root, 'state'),
    headFolder: join(root, 'heads'),
    mode: 'required',
    now: () => new Date(),
  };
  const lines = (): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const all = (): string[] =>
    (existsSync(folder) ? readdirSync(folder) : [])
      .filter((file) => file.endsWith('.jsonl'))
      .toSorted(
        (one, other) =>
          Number(one === 'audit.jsonl') - Number(other === 'audit.jsonl') || (one < other ? -1 : 1),
      )
      .flatMap((file) => readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1));
  const whole = (): AuditRecord[] => all().map((line) => JSON.parse(line) as AuditRecord);
  return {
    root,
    folder,
    path,
    options,
    open: (more = {}) => openAuditLog({ ...options, ...more }),
    lines,
    records: () => lines().map((line) => JSON.parse(line) as AuditRecord),
    all,
    whole,
    access: () =>
      whole()
        .filter(({ kind }) => kind === 'access')
        .map(({ secret }) => secret),
    files: () => readdirSync(folder).toSorted(),
    write: (all) => writeFileSync(path, all.map((line) => `${line}\n`).join(''), { mode: 0o600 }),
    writeText: (text) => writeFileSync(path, text, { mode: 0o600 }),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A program of this folder as a script. @returns its path */
export const buildProgram = (name: 'writer' | 'bulk'): Promise<string> => bundled(`tests/audit/${name}.ts`);

export function runWriter(
  script: string,
  task: WriterTask,
  env: Readonly<Record<string, string>> = {},
  node: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly signal: string | null; readonly stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...node, script, JSON.stringify(task)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...env },
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
}

/** What is wrong with a chain, without the verifier: numbers, hashes, form. */
export function chainProblems(lines: readonly string[]): string[] {
  const problems: string[] = [];
  const first = JSON.parse(lines[0] ?? '{}') as AuditRecord;
  let seq = first.seq - 1;
  let hash = first.prev;
  if (seq === 0 && hash !== NO_HASH) problems.push('the beginning');
  for (const line of lines) {
    const record = JSON.parse(line) as AuditRecord;
    if (record.seq !== seq + 1 || record.prev !== hash || hashOf(record) !== record.hash)
      problems.push(`${seq + 1}: ${line}`);
    if (canonicalJson(record) !== line) problems.push(`${seq + 1}: not canonical`);
    if (record.seq % 256 === 0 && record.kind !== 'checkpoint') problems.push(`${seq + 1}: ${record.kind}`);
    ({ seq, hash } = record);
  }
  return problems;
}
