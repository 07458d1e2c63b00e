/** What real encoders make of random values is masked, whatever the language. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { MASK, Masker } from '../../../src/core/redaction/redactor.ts';
import { describeWith } from '../../backends/server.ts';

const FOLDER = fileURLToPath(new URL('encoders', import.meta.url));
/** Values for each language; `full` looks at 100,000 texts in all. */
const COUNT = process.env['SECRETS_TEST_ENCODERS'] === 'full' ? 1000 : 60;
const SEED = Number(process.env['SECRETS_TEST_SEED'] ?? 20261129);

const punctuation = fc.constantFrom(...'\'"$`\\&<>%+/=#;!{}()[]~^|*?@, \t\n\r-_.:');
const unit = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'),
  },
  { weight: 5, arbitrary: punctuation },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 0x1f }).map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.integer({ min: 0xa1, max: 0xff }).map((code) => String.fromCharCode(code)) },
  { weight: 1, arbitrary: fc.constantFrom(...'äöüßéèñçøåžšłœ€–—“”αβγδЖДИя漢字かな한글☃⚠') },
  { weight: 1, arbitrary: fc.constantFrom('😀', '🔑', '🧪', '𝔖') },
);
/**
 * Not what starts or ends with the white space that programs add and drop themselves, nor the two letters that PHP
 * writes as one reference, `&fjlig;`.
 */
const value = fc
  .oneof(fc.string({ unit, minLength: 4, maxLength: 40 }), fc.string({ unit, minLength: 60, maxLength: 200 }))
  .map((text) => text.trim())
  .filter((text) => Buffer.byteLength(text) >= 4 && !text.includes('***') && !/\r|fj/.test(text));

/** What stands around it is told from a value that no encoder changes. */
const PLAIN = 'QQQQjjjjQQQQ';
/** Quotes beside the value, and the characters of base64 that also belong to what stands beside it. */
const MOST_LEFT = 24;

/** The masked text without its masks. */
function leftOf(masker: Masker, shown: Buffer): string {
  const stream = masker.stream();
  const half = shown.length >> 1;
  const masked = [stream.write(shown.subarray(0, half)), stream.write(shown.subarray(half)), stream.end()];
  return Buffer.concat(masked)
    .toString('latin1')
    .replaceAll('\0', '')
    .split(MASK)
    .join('')
    .replace(/ \.{3} \d+ more bytes/, '');
}

/** Has a program encode values, and looks for what is left of them. */
function look(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const values = [PLAIN, ...fc.sample(value, { seed: SEED, numRuns: COUNT })];
  const { status, stdout, stderr } = spawnSync(command, args, {
    input: values.map((text) => `${Buffer.from(text).toString('base64')}\n`).join(''),
    env: { ...process.env, LANG: 'C.UTF-8', ...env },
    maxBuffer: 2 ** 30,
  });
  expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  const rows = stdout.toString().trimEnd().split('\n');
  const each = rows.length / values.length;
  const around: number[] = [];
  const missed: string[] = [];
  for (const [index, secret] of values.entries()) {
    const masker = new Masker([Buffer.from(secret)]);
    for (let at = 0; at < each; at += 1) {
      const [name, encoded = ''] = (rows[index * each + at] as string).split('\t');
      const shown = Buffer.from(encoded, 'base64');
      const left = leftOf(masker, shown);
      if (index === 0) {
        expect({ name, left }).toEqual({ name, left: expect.not.stringMatching(/QQ|UVFRU|5151/) });
        around.push(left.length);
      } else if (left.length > (around[at] as number) + MOST_LEFT)
        missed.push(JSON.stringify({ name, secret, shown: shown.toString('latin1'), left }));
    }
  }
  expect(missed.slice(0, 5)).toEqual([]);
}

function pathOf(program: string): string {
  const folders = (process.env['PATH'] ?? '').split(':');
  return folders.map((folder) => join(folder, program)).find(existsSync) ?? join('/usr/bin', program);
}

for (const [program, file] of [
  ['python3', 'encode.py'],
  ['ruby', 'encode.rb'],
  ['php', 'encode.php'],
] as const) {
  describeWith(
    `the encoders of ${program}`,
    [pathOf(program)],
    () => {
      test('leave nothing of a value', () => look(program, [join(FOLDER, file)]));
    },
    true,
  );
}

test('the encoders of Node.js leave nothing of a value', () =>
  look(process.execPath, [join(FOLDER, 'encode.mjs')]));

describe('with a folder', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'secrets-encoders-'))));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describeWith(
    'the encoders of bash',
    [pathOf('bash')],
    () => {
      test('leave nothing of a value', () =>
        look('bash', [join(FOLDER, 'encode.sh')], { TRACE: join(folder, 'trace') }));
    },
    true,
  );

  describeWith(
    'the encoders of go',
    [pathOf('go')],
    () => {
      test('leave nothing of a value', () => {
        const program = join(folder, 'encode');
        const { status, stderr } = spawnSync('go', ['build', '-o', program, join(FOLDER, 'encode.go')]);
        expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
        look(program, []);
      });
    },
    true,
  );
});
