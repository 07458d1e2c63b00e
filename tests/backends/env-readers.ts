/** The readers of env files that programs use: each reads many files in one process. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'dotenv';
import { INSTALL, type Need } from '../needs.ts';
import { WORK_DIR } from './server.ts';

/** The variables of a file; null for one that the reader refuses. */
export type Read = Readonly<Record<string, string | null>> | null;
type Reader = (texts: readonly string[]) => readonly Read[];

const GO = join(WORK_DIR, 'env-readers');
const PYTHON = join(WORK_DIR, 'python-dotenv-venv/bin/python');
const GEMS = '/usr/share/rubygems-integration/all/gems';

const need = (name: string, met: boolean): Need => ({ name, met, how: INSTALL, installable: true });

/** For `describeNeeding`. */
export const GO_READERS = need('compose-go and godotenv', existsSync(GO));
export const PYTHON_READER = need('python-dotenv', existsSync(PYTHON));
export const RUBY_READER = need(
  'ruby-dotenv',
  existsSync(GEMS) && readdirSync(GEMS).some((name) => /^dotenv-\d/.test(name)),
);

const source = (name: string): string => fileURLToPath(new URL(`env-readers/${name}`, import.meta.url));

function piped(command: string, ...args: readonly string[]): Reader {
  return (texts) => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      input: JSON.stringify(texts),
      // python-dotenv and Ruby's put the environment's values into files.
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' },
      maxBuffer: 1e8,
    });
    if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr.toString()}`);
    return JSON.parse(stdout.toString()) as readonly Read[];
  };
}

/** Variables that sh has by itself, and the counter of the loop. */
const OWN = new Set(['i', 'PWD', 'OLDPWD', 'SHLVL', '_']);

/**
 * What sh has after it read each file, in an empty environment and a folder of its own; null where it complained.
 * Only for files that are believed to be harmless.
 */
const shell: Reader = (texts) => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-env-readers-'));
  try {
    for (const [index, text] of texts.entries()) writeFileSync(join(folder, `${index}.env`), text);
    const script = `i=0; while [ $i -lt ${texts.length} ]; do
      ( set -a; . ./$i.env; exec /usr/bin/env -0 ) 2>$i.err
      printf '=\\0'; i=$((i + 1)); done`;
    const { stdout } = spawnSync('/bin/sh', ['-c', script], { cwd: folder, env: {}, maxBuffer: 1e8 });
    const results: Read[] = [];
    let values: Record<string, string> = {};
    for (const entry of stdout.toString().split('\0').slice(0, -1)) {
      const [, name = '', value = ''] = /^([^=]*)=([^]*)$/.exec(entry) ?? [];
      if (name !== '') {
        if (!OWN.has(name)) values[name] = value;
        continue;
      }
      // `=` alone ends a file.
      const complained = readFileSync(join(folder, `${results.length}.err`)).length > 0;
      results.push(complained ? null : values);
      values = {};
    }
    if (results.length !== texts.length) throw new Error('sh ended early');
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

export const READERS = {
  dotenv: (texts) => texts.map((text) => parse(text)),
  'dotenv, its fast parser': (texts) => texts.map((text) => parse(text, { fast: true })),
  'python-dotenv': piped(PYTHON, source('python-dotenv.py')),
  'compose-go': piped(GO, 'compose-go'),
  godotenv: piped(GO, 'godotenv'),
  ruby: piped('ruby', source('dotenv.rb')),
  sh: shell,
} as const satisfies Readonly<Record<string, Reader>>;
