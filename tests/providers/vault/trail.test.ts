/** Vault's trail, read from what the real server's file audit device has written of real requests. */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { AuditEvent } from '../../../src/core/audit/record.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import type { StoreSettings } from '../../../src/core/trust.ts';
import type { TrailQuery } from '../../../src/providers/capabilities/trail.ts';
import { linesIn } from '../../../src/providers/trail-lines.ts';
import { scenarioFiles } from '../../backends/vault.ts';
import { describeWith } from '../../backends/server.ts';
import { all, bytes, type Env, failure, type Kit, now, startKit } from './kit.ts';

const HOUR = 3_600_000;
const ADDRESS = '127.0.0.1';

describeWith('the trail of Vault', scenarioFiles, () => {
  let kit: Kit;
  let file: string;
  let warned: string[];
  let count = 0;

  const store = (settings: StoreSettings = {}, env: Env = {}): Provider =>
    kit.start(
      { trail: { file, device: 'file' }, ...settings },
      { VAULT_TOKEN: kit.vault.token, ...env },
      {
        warn: (message) => warned.push(message),
      },
    );
  const read = (from: Provider, more: Partial<TrailQuery> = {}): Promise<AuditEvent[]> =>
    all(
      from.trail?.(
        { since: new Date(Date.now() - HOUR), until: new Date(Date.now() + 1000), ...more },
        now(),
      ),
    );
  const fresh = (): string => `trail/of-${(count += 1)}`;
  const api = (method: string, path: string, body?: unknown): Promise<unknown> =>
    kit.vault.api(method, path, body).catch(() => undefined);
  const shapes = (events: readonly AuditEvent[]): string[] =>
    events.map(
      ({ action, outcome, version = '-', error = '-' }) => `${action} ${outcome} ${version} ${error}`,
    );

  beforeAll(async () => {
    kit = await startKit();
    file = join(kit.home, 'audit.log');
    await kit.vault.api('PUT', 'sys/audit/file', { type: 'file', options: { file_path: file } });
    await kit.vault.api('POST', 'sys/config/auditing/request-headers/user-agent', { hmac: true });
  });
  beforeEach(() => {
    warned = [];
  });
  afterAll(() => kit.stop());

  test('shows who did what to a secret, on which version, and how it ended', async () => {
    const name = fresh();
    const path = (kind: string): string => `secret/${kind}/${name}`;
    await api('POST', path('data'), { data: { k: 'a value of its own' } });
    await api('GET', path('data'));
    await api('POST', path('data'), { data: { k: 'second' } });
    await api('GET', `${path('data')}?version=1`);
    await api('GET', `${path('data')}?version=7`);
    await api('GET', path('metadata'));
    await api('POST', path('metadata'), { custom_metadata: { team: 'web' } });
    await api('POST', path('data'), { data: { k: 'third' }, options: { cas: 9 } });
    await api('DELETE', path('data'));
    await api('GET', path('data'));
    await api('POST', path('undelete'), { versions: [2] });
    await api('POST', path('destroy'), { versions: [1] });
    await api('POST', path('delete'), { versions: [2] });
    await api('DELETE', path('metadata'));
    await api('GET', path('data'));
    const events = await read(store(), { name });
    expect(shapes(events)).toEqual([
      'write allowed 1 -',
      'read allowed 1 -',
      'write allowed 2 -',
      'read allowed 1 -',
      'read failed 7 NotFound',
      'describe allowed - -',
      'label allowed - -',
      'write failed - Invalid',
      'delete allowed - -',
      'read failed - NotFound',
      'restore allowed 2 -',
      'purge allowed 1 -',
      'delete allowed 2 -',
      'purge allowed - -',
      'read failed - NotFound',
    ]);
    expect(events[0]).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      origin: 'vault-audit',
      action: 'write',
      outcome: 'allowed',
      actor: { principal: 'root', source: 'this store’s own token; policies root' },
      store: 'tested',
      provider: 'vault',
      secret: name,
      version: '1',
      address: ADDRESS,
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(JSON.stringify(events)).not.toMatch(/a value of its own|hmac/);
    expect(warned).toEqual([]);
  });

  test('tells others’ tokens from the store’s own, and what was refused', async () => {
    const name = fresh();
    await api('POST', `secret/data/${name}`, { data: { k: 'v' } });
    const token = await kit.tokenWith('path "secret/metadata/*" { capabilities = ["read"] }', {
      display_name: 'joe',
    });
    const ask = (sent: string): Promise<Response> =>
      fetch(`${kit.vault.url}/v1/secret/data/${name}`, { headers: { 'X-Vault-Token': sent } });
    await ask(token);
    await ask('no-such-token');
    const [, refused, unknown, ...more] = await read(store(), { name });
    expect(refused).toMatchObject({
      action: 'read',
      outcome: 'denied',
      error: 'Denied',
      actor: { principal: 'token-joe', source: expect.stringMatching(/^policies default, tested-\d+$/) },
    });
    expect(unknown).toMatchObject({ outcome: 'denied', error: 'Unauthenticated', actor: {} });
    expect(more).toEqual([]);
  });

  test('a value that was wrapped was given out, and one that is not there was not', async () => {
    const name = fresh();
    await api('POST', `secret/data/${name}`, { data: { k: 'v' } });
    for (const one of [name, `${name}/none`])
      await fetch(`${kit.vault.url}/v1/secret/data/${one}`, {
        headers: { 'X-Vault-Token': kit.vault.token, 'X-Vault-Wrap-TTL': '60' },
      });
    expect(shapes(await read(store(), { name }))).toEqual(['write allowed 1 -', 'read allowed - -']);
    expect(shapes(await read(store(), { name: `${name}/none` }))).toEqual(['read failed - NotFound']);
  });

  test('knows its own calls by the hash of their user agent', async () => {
    const name = fresh();
    const own = store();
    await own.put(name, { value: bytes('v') }, now());
    await fetch(`${kit.vault.url}/v1/secret/data/${name}`, {
      headers: { 'X-Vault-Token': kit.vault.token, 'User-Agent': 'other/1' },
    });
    const events = await read(own, { name });
    expect(events.map(({ action, client }) => `${action} ${client}`)).toEqual([
      expect.stringMatching(/^write secrets\/\d/),
      'read undefined',
    ]);
  });

  test('shows a pending value as one of its secret', async () => {
    const name = fresh();
    const own = store();
    await own.put(name, { value: bytes('old') }, now());
    const { id } = await own.put(name, { value: bytes('new'), stage: 'pending' }, now());
    await own.makeCurrent?.(name, id, now());
    const events = await read(own);
    const ours = events.filter(({ secret }) => secret === name);
    expect(new Set(ours.map(({ action, version }) => `${action} ${version}`))).toContain('write pending');
    expect(events.filter(({ secret }) => secret?.includes('.secrets-pending'))).toEqual([]);
  });

  test('a store’s trail has its mount alone; KV version 1 has values alone', async () => {
    const name = fresh();
    await api('PUT', `kv1/${name}`, { k: 'v' });
    await api('GET', `kv1/${name}`);
    await api('GET', `kv1/${name}/none`);
    await api('GET', 'kv1/trail?list=true');
    await api('DELETE', `kv1/${name}`);
    const first = store({ mount: 'kv1' });
    expect(first.capabilities.has('trail')).toBe(true);
    const events = await read(first);
    expect(shapes(events.filter(({ secret }) => secret?.startsWith(name) ?? true))).toEqual([
      'write allowed - -',
      'read allowed - -',
      'read failed - NotFound',
      'list allowed - -',
      'delete allowed - -',
    ]);
    expect((await read(store())).filter(({ secret }) => secret === name)).toEqual([]);
  });

  test('without a device nothing is asked of Vault but the engine’s version', async () => {
    const name = fresh();
    await api('POST', `secret/data/${name}`, { data: { k: 'v' } });
    await api('POST', `secret/destroy/${name}`, { versions: [1] });
    const events = await read(store({ trail: { file } }), { name });
    expect(shapes(events)).toEqual(['write allowed 1 -', 'purge allowed - -']);
    expect(events[0]?.actor).toEqual({ principal: 'root', source: 'policies root' });
    const offline = store({ address: 'http://127.0.0.1:9', 'kv-version': 2, trail: { file } });
    expect(await read(offline, { name })).toHaveLength(2);
    expect(warned).toEqual([]);
  });

  test('a token that may not ask for hashes makes it poorer, and it says so once', async () => {
    const name = fresh();
    await api('POST', `secret/data/${name}`, { data: { k: 'v' } });
    await api('POST', `secret/destroy/${name}`, { versions: [1] });
    const token = await kit.tokenWith('path "secret/*" { capabilities = ["read"] }');
    const events = await read(store({}, { VAULT_TOKEN: token }), { name });
    expect(shapes(events)).toEqual(['write allowed 1 -', 'purge allowed - -']);
    expect(warned).toEqual([
      expect.stringMatching(/does not hash for the audit device file: .*permission denied/),
    ]);
  });

  test('lines that are none are counted, a cut-off end is no error, a request without response is failed', async () => {
    const name = fresh();
    await api('POST', `secret/data/${name}`, { data: { k: 'v' } });
    await api('GET', `secret/data/${name}`);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const last = lines.at(-1) as string;
    const copy = join(kit.home, 'copy.log');
    writeFileSync(
      copy,
      `not JSON\n{"type":"other"}\n\n${lines.slice(0, -1).join('\n')}\n${last.slice(0, 200)}`,
    );
    const events = await read(store({ trail: { file: copy } }), { name });
    expect(shapes(events)).toEqual(['write allowed 1 -', 'read failed - NoResponse']);
    expect(warned).toEqual([
      expect.stringMatching(
        /^3 of \d+ lines are not from Vault’s audit device and were skipped, the last one maybe/,
      ),
      expect.stringMatching(/^1 requests have no response in the trail/),
    ]);
    writeFileSync(`${copy}.gz`, gzipSync(`${lines.map((line) => `vault: ${line}`).join('\n')}\n`));
    expect(await read(store({ trail: { file: `${copy}.gz` } }), { name })).toHaveLength(2);
  });

  test('reads what is given instead of the file, in bounded memory', async () => {
    const name = fresh();
    await api('GET', `secret/data/${name}`);
    const wanted = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes(name));
    const other = wanted.map((line) => line.replaceAll(name, 'someone/else').replaceAll(/"id":"[^"]*"/g, ''));
    const total = 60_000;
    const lines = async function* (): AsyncGenerator<string> {
      yield* wanted;
      for (let made = 0; made < total; made += 1) yield other[made % 2] as string;
      yield* wanted;
    };
    const own = store({ trail: {} });
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    expect(await read(own, { name, lines: lines() })).toHaveLength(2);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
    expect((await failure(read(own, { name }))).message).toMatch(
      /trail is a file, which the store’s settings don’t name/,
    );
  });

  test('says what is wrong with a file', async () => {
    const at = (path: string): Promise<unknown> => failure(read(store({ trail: { file: path } })));
    expect(await at('none.log')).toMatchObject({ kind: 'NotFound' });
    expect(await at('.')).toMatchObject({ kind: 'Invalid' });
    appendFileSync(join(kit.home, 'words.txt'), 'a\nb\n');
    expect(await at('words.txt')).toMatchObject({
      kind: 'Invalid',
      message: 'none of 2 lines is of Vault’s audit device',
    });
  });
});

test('lines come whole, whatever pieces they come in; a line that is too long is none', async () => {
  const text = 'one\r\ntwö\n\nthree\n' + 'x'.repeat(40) + '\nfour';
  for (const size of [1, 2, 7, 1000]) {
    const raw = Buffer.from(text);
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < raw.length; at += size) yield raw.subarray(at, at + size);
    };
    expect(await all(linesIn(pieces(), 20))).toEqual(['one', 'twö', '', 'three', '\u0000', 'four']);
  }
});
