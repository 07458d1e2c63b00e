/** The local store under many writers, under `kill -9` at each change that a put makes, and with damaged files. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SecretsError } from '../../../src/core/errors.ts';
import { open } from '../../../src/providers/local/index.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { contextFor, readOne } from '../../contract/suite.ts';
import { bundled } from '../../shared.ts';
import { sized, startOf } from '../../size.ts';

/** A small run kills at every so many of the moments. */
const EVERY = sized(4, 1);
const KILLER = fileURLToPath(new URL('../../audit/kill-at.cjs', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../../../bin/secrets', import.meta.url));
const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(60_000) });

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

function run(
  home: string,
  args: readonly string[],
  input: string,
  {
    env = {},
    program = PROGRAM,
  }: { readonly env?: Readonly<Record<string, string>>; readonly program?: string } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], {
      env: { PATH: process.env['PATH'], HOME: home, SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env },
      cwd: home,
    });
    let stderr = '';
    child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
    });
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.once('exit', (code) => resolve({ code, stderr }));
  });
}

function storeOf(home: string): Provider {
  return open({}, contextFor({ SECRETS_LOCAL_KEY_METHOD: 'key-file' }, home));
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((file) => statSync(file).isFile());
}

describe('the local store', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'secrets-durable-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  test('16 writers of 50 versions each lose none', async () => {
    await run(home, ['put', 'shared', '--quiet'], 'first');
    const putter = await bundled('tests/providers/local/putter.ts');
    const turns = sized(8, 50);
    const ended = await Promise.all(
      Array.from({ length: 16 }, (_, number) =>
        run(home, ['shared', `${turns}`, `${number}`], '', { program: putter }),
      ),
    );
    expect(ended).toEqual(ended.map(() => ({ code: 0, stderr: '' })));
    const store = storeOf(home);
    const values = new Set<string>();
    for await (const { id } of store.history?.('shared', now()) ?? [])
      values.add(Buffer.from((await readOne(store, { name: 'shared', version: id })).value).toString());
    expect(values.size).toBe(1 + 16 * turns);
  }, 300_000);

  test('kill -9 at any change of a put leaves a store that reads and holds every acknowledged write', async () => {
    const count = join(home, 'count');
    const put = (value: string, at: string): Promise<Ended> =>
      run(home, ['put', 'kept', '--quiet'], value, {
        env: { NODE_OPTIONS: `--require=${KILLER}`, KILL_AT: at, KILL_LOG: count },
      });
    // The first one makes the store, which none after it does.
    await put('first', '0 never');
    await put('second', '0 never');
    const points = Number(readFileSync(count, 'utf8'));
    expect(points).toBeGreaterThan(8);
    const acknowledged = ['first', 'second'];
    const moments = Array.from({ length: points }, (_, index) => index + 1).flatMap((point) =>
      ['before', 'half', 'after'].map((when) => `${point} ${when}`),
    );
    let killed = 0;
    let current = 'second';
    for (let at = startOf(EVERY); at < moments.length; at += EVERY) {
      const { code } = await put(`value ${at}`, moments[at] as string);
      // After its last change it may have said so.
      if (code === 0) acknowledged.push(`value ${at}`);
      else killed += 1;
      const found = Buffer.from((await readOne(storeOf(home), { name: 'kept' })).value).toString();
      // One that was killed has written its value or nothing.
      const possible = code === 0 ? [`value ${at}`] : [`value ${at}`, current];
      expect([moments[at], found, possible.includes(found)]).toEqual([moments[at], found, true]);
      current = found;
    }
    expect(killed).toBeGreaterThan(moments.length / EVERY / 2);
    await run(home, ['put', 'kept', '--quiet'], 'last');
    const store = storeOf(home);
    const values = new Set<string>();
    for await (const { id } of store.history?.('kept', now()) ?? [])
      values.add(Buffer.from((await readOne(store, { name: 'kept', version: id })).value).toString());
    expect(acknowledged.filter((value) => !values.has(value))).toEqual([]);
    expect(Buffer.from((await readOne(store, { name: 'kept' })).value).toString()).toBe('last');
  }, 300_000);

  test('a purge among writers leaves a secret that is whole, or none', async () => {
    await run(home, ['put', 'other', '--quiet'], 'kept');
    const codes: (number | null)[] = [];
    const repeat = async (args: readonly string[], times: number): Promise<void> => {
      for (let turn = 0; turn < times; turn += 1) codes.push((await run(home, args, `turn ${turn}`)).code);
    };
    const put = ['put', 'purged', '--quiet'];
    await Promise.all([
      ...[1, 2, 3].map(() => repeat(put, 10)),
      repeat(['purge', 'purged', '--yes', '--quiet'], 15),
    ]);
    // A purge that came before the first put, or after another purge, finds nothing.
    expect(codes.filter((code) => code !== 0 && code !== 3)).toEqual([]);
    await run(home, put, 'last');
    const store = storeOf(home);
    expect(Buffer.from((await readOne(store, { name: 'purged' })).value).toString()).toBe('last');
    expect((await store.diagnose(now())).map(({ check, status }) => `${check} ${status}`)).toEqual([
      ...['folder ok', 'key ok', 'entries ok'],
    ]);
  });

  test('every byte flipped is detected or changes nothing', async () => {
    const first = storeOf(home);
    await first.put('one', { value: Buffer.from('value one') }, now());
    await first.put('two', { value: Buffer.from('value two') }, now());
    await first.close();
    let detected = 0;
    for (const file of filesUnder(join(home, '.local/share/secrets/store'))) {
      const good = readFileSync(file);
      for (let place = 0; place < good.length; place += 1) {
        const bad = Buffer.from(good);
        bad.writeUInt8(bad.readUInt8(place) ^ 1, place);
        writeFileSync(file, bad);
        for (const name of ['one', 'two']) {
          try {
            const { value } = await readOne(storeOf(home), { name });
            expect(Buffer.from(value).toString()).toBe(`value ${name}`);
            const versions: string[] = [];
            for await (const version of storeOf(home).history?.(name, now()) ?? []) versions.push(version.id);
            expect(versions).toEqual(['1']);
          } catch (thrown) {
            if (!(thrown instanceof SecretsError)) throw thrown;
            // A manifest that names another key or format is refused as such.
            expect(['Integrity', 'Unauthenticated', 'Usage']).toContain(thrown.kind);
            detected += 1;
          }
        }
      }
      writeFileSync(file, good);
    }
    expect(detected).toBeGreaterThan(100);
  });
});
