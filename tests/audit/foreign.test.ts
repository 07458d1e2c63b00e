/** `audit verify` of a file that is no log any more: compressed, packed, encrypted, or rewritten by another program. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { foreignForm } from '../../src/audit/log/foreign.ts';
import { makePlace } from '../e2e/program.ts';
import { logOf } from './program.ts';
import { event } from './events.ts';
import { type LogPlace, logPlace } from './kit.ts';

let place: LogPlace;
let lines: readonly string[];
beforeAll(async () => {
  place = logPlace();
  await place.open().append(Array.from({ length: 10 }, (_, n) => event(n)));
  lines = place.lines();
});
afterAll(() => place.remove());

const text = (): string => lines.map((line) => `${line}\n`).join('');
const formOf = (content: string | Uint8Array): string | undefined => foreignForm(Buffer.from(content))?.what;

test('what other programs make of it', () => {
  expect(formOf(text())).toBeUndefined();
  expect(formOf('')).toBeUndefined();
  expect(formOf(gzipSync(text()))).toBe('compressed with gzip');
  expect(formOf(Buffer.from(`\ufeff${text()}`))).toBe('text with a byte order mark');
  expect(formOf(Buffer.from(text(), 'utf16le'))).toBe('UTF-16 text');
  expect(formOf(Buffer.from(`\ufeff${text()}`, 'utf16le'))).toBe('UTF-16 text');
  expect(formOf(text().replaceAll('\n', '\r\n'))).toBe('text with CRLF line ends');
  expect(formOf(`[${lines.join(',')}]`)).toBe('a JSON array');
  expect(
    formOf(
      JSON.stringify(
        lines.map((line) => JSON.parse(line) as object),
        null,
        2,
      ),
    ),
  ).toBe('a JSON array');
  expect(formOf(JSON.stringify(JSON.parse(lines[0] ?? ''), null, 2))).toBe('JSON over several lines');
  expect(formOf(text().replaceAll(/(.{76})/g, '$1\n'))).toBe('text with its lines broken');
  expect(formOf(Buffer.from(text()).toString('base64'))).toBe('base64 text');
  const wrap = (how: (line: string) => string): string => lines.map((line) => `${how(line)}\n`).join('');
  const collected = 'a log collector’s JSON with the records in it';
  expect(formOf(wrap((log) => JSON.stringify({ log: `${log}\n`, stream: 'stdout' })))).toBe(collected);
  expect(formOf(wrap((line) => JSON.stringify({ ts: 1, message: JSON.parse(line) as object })))).toBe(
    collected,
  );
  expect(formOf(wrap((line) => `<134>1 2026-11-29T10:00:00Z host secrets - - - ${line}`))).toBe(
    'syslog lines with the records in them',
  );
  expect(formOf(wrap((line) => `2026-11-29T10:00:00Z stdout F ${line}`))).toBe(
    'lines with something before each record',
  );
});

const has = (tool: string): boolean => spawnSync('which', [tool]).status === 0;

test.each([
  ['xz', ['-c'], 'compressed with xz'],
  ['bzip2', ['-c'], 'compressed with bzip2'],
  ['zstd', ['-c'], 'compressed with zstd'],
  ['lz4', ['-c'], 'compressed with lz4'],
  ['tar', ['-C', '/', '-cf', '-', 'etc/hostname'], 'a tar archive'],
] as const)('made by %s, where that is installed', (tool, args, what) => {
  if (!has(tool)) return;
  const { stdout } = spawnSync(tool, args, { input: text() });
  expect(formOf(stdout)).toBe(what);
});

test('audit verify says so: of a named file with exit 2, of the log itself with 9', async () => {
  const own = await makePlace();
  try {
    await own.sh('printf v | secrets put a');
    const log = logOf(own);
    writeFileSync(join(own.cwd, 'audit.jsonl.gz'), gzipSync(readFileSync(log)));
    const named = await own.sh('secrets audit verify audit.jsonl.gz');
    expect([named.code, named.stdout]).toEqual([2, '']);
    expect(named.stderr).toMatch(
      /^secrets: not an audit log but compressed with gzip: .*audit\.jsonl\.gz; unpack it first: gunzip\n$/s,
    );
    writeFileSync(log, gzipSync(readFileSync(log)));
    const itself = await own.sh('secrets audit verify');
    expect([itself.code, itself.stdout]).toEqual([
      9,
      expect.stringMatching(/^changed: .*: not an audit log but compressed with gzip$/m),
    ]);
  } finally {
    await own.remove();
  }
});
