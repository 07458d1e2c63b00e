/** The wire: deadlines, bounds, doubt, what goes over it, and the published schemas of it. */
import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { ANSWER_FILE, answerSchemaDocument } from '../../../scripts/plugin-schema.ts';
import { tryPlugin } from '../../../src/providers/exec/conformance.ts';
import { open } from '../../../src/providers/exec/index.ts';
import { LineSplitter } from '../../../src/providers/exec/lines.ts';
import type { ExecProvider } from '../../../src/providers/exec/provider.ts';
import { makePlugins, type Plugins } from '../../backends/plugin.ts';
import { all, bytes, contextForPlugin, errorOf, kindOf, now, readOne, within } from './setup.ts';
import { ROOT } from '../../e2e/program.ts';

let plugins: Plugins;
const opened: ExecProvider[] = [];
beforeAll(async () => {
  plugins = await makePlugins();
});
afterEach(async () => {
  for (const provider of opened.splice(0)) await provider.close();
});
afterAll(() => plugins.remove());

async function full(mode: string): Promise<ExecProvider> {
  const settings = { plugin: 'full', settings: { folder: plugins.folder(), mode } };
  const provider = await open(settings, contextForPlugin(plugins.path));
  opened.push(provider);
  return provider;
}

test('a call ends at its signal, or at its deadline should the signal not come', async () => {
  const provider = await full('silent');
  const calls = [within(100), { signal: new AbortController().signal, deadline: Date.now() + 100 }];
  for (const options of calls) {
    const error = await errorOf(provider.describe('a', options));
    expect([error?.kind, error?.message]).toEqual(['Unavailable', 'the plugin full did not answer in time']);
  }
  const write = await errorOf(provider.put('a', { value: bytes('v') }, within(100)));
  expect(write?.message).toMatch(/did not answer in time; the change may have been made$/);
});

test('a plugin that leaves its requests without an answer is given up', async () => {
  const provider = await full('silent');
  const stop = new AbortController();
  const calls = Array.from({ length: 100 }, () => kindOf(provider.describe('a', { signal: stop.signal })));
  // Of more than ten Node warns, and it would be right: see MaxListenersExceededWarning.
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1);
  setTimeout(() => stop.abort(), 50);
  expect(new Set(await Promise.all(calls))).toEqual(new Set(['Unavailable']));
  // Of a hundred only 32 were sent; what waited for its turn left no trace.
  expect(provider.connection.unanswered).toBe(32);
  const more = Array.from({ length: 40 }, () => errorOf(provider.describe('a', within(50))));
  await Promise.all(more);
  expect((await errorOf(provider.describe('a', now())))?.message).toMatch(
    /leaves its requests without an answer|did not answer/,
  );
});

test('requests that are over leave nothing on their signal', async () => {
  const provider = await full('');
  const { signal } = new AbortController();
  const once = (): Promise<unknown> => kindOf(provider.describe('missing', { signal }));
  await Promise.all(Array.from({ length: 40 }, once));
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  await once();
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});

test('a write that did not leave this process is not in doubt', async () => {
  const provider = await full('silent');
  const stop = new AbortController();
  const calls = Array.from({ length: 33 }, () =>
    errorOf(provider.put('a', { value: bytes('v') }, { signal: stop.signal })),
  );
  stop.abort();
  const doubted = (await Promise.all(calls)).map((error) => /may have been made/.test(error?.message ?? ''));
  expect(doubted).toEqual([...Array.from({ length: 32 }, () => true), false]);
});

test.each([
  ['crash-in-put', /was ended by SIGKILL; the change may have been made$/],
  ['put-in-doubt', /; the change may have been made$/],
  ['bad-shape', /another form .*; the change may have been made$/],
  ['junk', /not of the protocol; the change may have been made$/],
])('a put that meets %s is in doubt', async (mode, message) => {
  const provider = await full(mode);
  const error = await errorOf(provider.put('a', { value: bytes('v') }, now()));
  expect(error?.kind).toBe('Unavailable');
  expect(error?.message).toMatch(message);
});

test('a list without end, and a cursor that comes again, are errors', async () => {
  const endless = await full('endless-list');
  const error = await errorOf(
    (async () => {
      // As many items as a page may have take a slow machine a while.
      for await (const _ of endless.list({}, within(240_000))) continue;
    })(),
  );
  expect(error?.message).toMatch(/more items for one list than a page may have/);
  const circling = await full('same-cursor');
  expect(await kindOf(all(circling.list({}, now())))).toBe('Unavailable');
}, 300_000);

test('a loop over a list may ask for each secret, and may end early', async () => {
  const provider = await full('');
  for (let n = 0; n < 250; n += 1) await provider.put(`n${n}`, { value: bytes(`v${n}`) }, now());
  let seen = 0;
  for await (const { name } of provider.list({ prefix: 'n' }, now())) {
    expect(Buffer.from((await readOne(provider, { name })).value).toString()).toBe(name.replace('n', 'v'));
    if ((seen += 1) === 150) break;
  }
  expect(seen).toBe(150);
  expect(await kindOf(provider.describe('n1', now()))).toBe('no error');
});

test('a full stderr holds nothing up', async () => {
  const provider = await full('flood-stderr');
  expect(await kindOf(provider.identity(now()))).toBe('no error');
  const end = Date.now() + 120_000;
  while (provider.connection.errorBytes <= 1024 * 1024 && Date.now() < end)
    await new Promise((go) => setTimeout(go, 20));
  expect(provider.connection.errorBytes).toBeGreaterThan(1024 * 1024);
});

test('an unknown kind is Failed, an unknown capability none, an answer too many an error', async () => {
  expect(await kindOf((await full('odd-kind')).describe('a', now()))).toBe('Failed');
  expect([...(await full('')).capabilities]).not.toContain('a-capability-of-the-future');
  const twice = await full('twice');
  await twice.identity(now());
  await new Promise((go) => setTimeout(go, 50));
  expect((await errorOf(twice.identity(now())))?.message).toMatch(/answered a request twice/);
});

test('lines are cut wherever the pieces end, and none is longer than the bound', () => {
  const lines: string[] = [];
  const splitter = new LineSplitter(
    (line) => lines.push(line.toString()),
    () => 5,
  );
  for (const piece of ['a', 'b\nc', '\n\n12', '345\n']) expect(splitter.push(Buffer.from(piece))).toBe(true);
  expect(lines).toEqual(['ab', 'c', '', '12345']);
  expect(splitter.push(Buffer.from('123'))).toBe(true);
  expect(splitter.push(Buffer.from('456'))).toBe(false);
  expect(
    new LineSplitter(
      () => undefined,
      () => 5,
    ).push(Buffer.from('123456\n')),
  ).toBe(false);
});

describe('the published schemas', () => {
  test('are up to date: node scripts/schema.mjs makes them', () => {
    const published = JSON.parse(readFileSync(join(ROOT, ANSWER_FILE), 'utf8')) as object;
    expect(published).toEqual(JSON.parse(JSON.stringify(answerSchemaDocument())));
  });

  test('describe every line of a run of all checks', async () => {
    const folder = plugins.folder();
    const full = join(plugins.bin, 'secrets-provider-full');
    const path = plugins.install(
      'taped',
      `#!/bin/sh\ntee -a '${folder}/in' | '${full}' | tee -a '${folder}/out'\n`,
    );
    const env = { PATH: plugins.path };
    const start = { plugin: 'taped', path, store: 's', settings: { folder }, env };
    const findings = await tryPlugin(start, AbortSignal.timeout(50_000), () => undefined);
    expect(findings.filter(({ status }) => status === 'fail')).toEqual([]);
    const ajv = new Ajv2020({
      strict: true,
      strictTypes: false,
      strictRequired: false,
      allowUnionTypes: true,
    });
    addFormats.default(ajv);
    const document = (name: string): object =>
      JSON.parse(readFileSync(join(ROOT, `schemas/plugin/${name}.schema.json`), 'utf8')) as object;
    const answers = document('answer');
    const request = ajv.compile(document('request'));
    const answer = ajv.compile(answers);
    ajv.addSchema(answers, 'answers');
    const lines = (file: string): Record<string, unknown>[] =>
      readFileSync(join(folder, file), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    const check = (validate: ValidateFunction | undefined, value: unknown): void => {
      expect(validate?.(value) === true ? [] : [value, validate?.errors]).toEqual([]);
    };
    // The checks start the plugin again towards their end, with ids from 1.
    const methods = new Map<string, string>();
    let run = 0;
    for (const line of lines('in')) {
      if (line['method'] === 'no-such-method') continue;
      check(request, line);
      if (line['method'] === 'hello') run += 1;
      methods.set(`${run}:${String(line['id'])}`, String(line['method']));
    }
    expect(new Set(methods.values()).size).toBe(13);
    run = 0;
    for (const line of lines('out')) {
      check(answer, line);
      if (line['id'] === 1) run += 1;
      const method = methods.get(`${run}:${String(line['id'])}`);
      for (const part of ['result', 'item'])
        if (line[part] !== undefined) check(ajv.getSchema(`answers#/$defs/${part}-${method}`), line[part]);
    }
    expect(request({ id: 1, method: 'get', params: { requests: [] } })).toBe(false);
    expect(answer({ id: 1, result: {}, error: { kind: 'Failed', message: '' } })).toBe(false);
  });
});
