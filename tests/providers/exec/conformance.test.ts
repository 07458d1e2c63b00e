/** `secrets doctor --plugin`: good plugins pass, and each way of breaking the contract fails the check for it. */
import { readdirSync } from 'node:fs';
import { CHECK_NAMES, tryPlugin } from '../../../src/providers/exec/conformance.ts';
import type { Finding } from '../../../src/providers/provider.ts';
import { EXAMPLE, makePlugins, type Plugins } from '../../backends/plugin.ts';
import { sampled } from '../../size.ts';

let plugins: Plugins;
beforeAll(async () => {
  plugins = await makePlugins();
});
afterAll(() => plugins.remove());

const debug = (): void => undefined;

async function tried(path: string, settings: Readonly<Record<string, unknown>>): Promise<readonly Finding[]> {
  const start = { plugin: 'tried', path, store: 's', settings, env: { PATH: plugins.path, HOME: '/' } };
  return tryPlugin(start, AbortSignal.timeout(50_000), debug);
}

const full = (mode: string): Promise<readonly Finding[]> =>
  tried(`${plugins.bin}/secrets-provider-full`, { folder: plugins.folder(), mode });

const failed = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ status }) => status === 'fail').map(({ check }) => check);

test('the example passes every check that it declares itself fit for, and nothing of it stays', async () => {
  const folder = plugins.folder();
  const findings = await tried(EXAMPLE, { folder });
  expect(findings.filter(({ status }) => status !== 'ok')).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual(CHECK_NAMES);
  expect(findings.filter(({ detail }) => /not declared/.test(detail)).map(({ check }) => check)).toEqual([
    'versions',
    'stages',
    'cas',
    'claims',
    'soft-delete',
    'labels',
  ]);
  expect(readdirSync(folder)).toEqual([]);
});

test('a plugin with every capability passes every check', async () => {
  const findings = await full('');
  expect(findings.filter(({ status, detail }) => status !== 'ok' || /not declared/.test(detail))).toEqual([]);
  expect(findings.map(({ check }) => check)).toEqual(CHECK_NAMES);
});

/** What a broken plugin does, and a check that must fail for it. */
const BROKEN: readonly (readonly [mode: string, check: string, detail: RegExp])[] = [
  ['new-protocol', 'handshake', /speaks version 7 of the protocol; this program speaks 1$/],
  ['bad-rules', 'handshake', /another form than the protocol’s \(rules\.maxValueBytes\)$/],
  ['trims', 'keeps unicode', /other bytes/],
  ['bad-base64', 'keeps text', /another form/],
  ['other-id', 'keeps text', /different ids/],
  ['any-size', 'refuses a value that is too large', /./],
  ['value-in-message', 'refuses names against its rules', /./],
  ['value-in-stderr', 'stderr', /wrote a value/],
  ['base64-in-stderr', 'stderr', /wrote a value/],
  ['missing-is-empty', 'NotFound', /get: no error, not NotFound/],
  ['odd-kind', 'NotFound', /get: Failed/],
  ['drops-missing', 'get of 60, 3 of them missing', /request 5: not NotFound/],
  ['order', 'get of 60, 3 of them missing', /request 0/],
  ['same-index', 'keeps text', /./],
  ['ignores-prefix', 'list with a prefix', /do not start with the prefix/],
  ['lists-twice', 'list with a prefix', /twice/],
  ['lower-case', 'names of any characters', /./],
  ['drops-description', 'refuses what it can’t keep', /describe does not give it/],
  ['claims-nothing', 'refuses what it can’t keep', /which is not declared/],
  ['ignores-deadline', 'begins nothing after its deadline', /no error/],
  ['dies-of-cancel', 'cancel', /ended \(exit code 9\)/],
  ['forgets-cancelled', 'cancel', /not answered within 5 s/],
  ['dies-of-unknown', 'unknown methods and fields', /ended \(exit code 9\)/],
  ['twice', 'keeps text', /answered a request twice/],
  ['unknown-id', 'keeps text', /not made/],
  ['result-and-error', 'keeps text', /not of the protocol/],
  ['items-for-describe', 'delete', /sent items for describe/],
  ['junk', 'keeps text', /wrote a line that is not of the protocol/],
  ['flood', 'keeps text', /wrote a line of more than \d+ bytes/],
  ['exit', 'keeps text', /ended \(exit code 3\)/],
  ['crash-in-put', 'keeps text', /was ended by SIGKILL; the change may have been made/],
  ['crash-in-get', 'keeps text', /was ended by SIGSEGV$/],
  ['closes-output', 'keeps text', /closed its output/],
  ['bad-shape', 'keeps text', /another form/],
  ['no-history', 'versions', /no history after all/],
  ['oldest-first', 'versions', /newest first/],
  ['pending-is-current', 'stages', /./],
  ['ignores-conditions', 'cas', /no error, not Conflict/],
  ['ignores-claims', 'claims', /of ten claims .* at the same time 10 succeed|no error, not Conflict/],
  ['no-restore', 'soft-delete', /./],
  ['drops-labels', 'labels', /labels are not set/],
  ['stubborn', 'ends with its input', /goes on after its input ended/],
];

test.each(sampled(BROKEN, 14))('a plugin that does %s fails: %s', async (mode, check, detail) => {
  const findings = await full(mode);
  expect(failed(findings)).toContain(check);
  const finding = findings.find((one) => one.check === check && one.status === 'fail');
  expect(finding?.detail).toMatch(detail);
  expect(JSON.stringify(findings)).not.toMatch(/mark-[0-9a-f]{24}/);
});

test('each check fails for some broken plugin', () => {
  // `clean-up` fails for a plugin that can't delete, which the check of delete finds first.
  const covered = new Set(BROKEN.map(([, check]) => check));
  const without = CHECK_NAMES.filter((name) => !covered.has(name));
  expect(without).toEqual([
    'keeps bytes that are not text',
    'keeps an empty value',
    'keeps the largest value',
    'ten requests at the same time',
    'identity and diagnose',
    'clean-up',
  ]);
});

test.each([
  ['exits at once', '#!/bin/sh\nexit 3\n', /ended \(exit code 3\)/],
  ['says a word', '#!/bin/sh\necho hello\n', /not of the protocol/],
  ['needs what is not there', '#!/no/such/interpreter\n', /could not be started \(ENOENT\)/],
  ['cannot speak', '#!/bin/sh\nexec >&-\nread line\nsleep 100\n', /closed its output/],
])('a plugin that %s fails the handshake', async (_title, script, detail) => {
  const findings = await tried(plugins.install('tried', script), {});
  expect(findings).toMatchObject([{ check: 'handshake', status: 'fail' }]);
  expect(findings[0]?.detail).toMatch(detail);
});

test('a plugin that is silent fails in the time that there is, every check of it', async () => {
  const start = {
    plugin: 'tried',
    path: `${plugins.bin}/secrets-provider-full`,
    store: 's',
    settings: { folder: plugins.folder(), mode: 'silent' },
    env: { PATH: plugins.path },
  };
  // Longer until there is time enough for the plugin to be started on this machine.
  for (let ms = 1000; ; ms *= 2) {
    const findings = await tryPlugin(start, AbortSignal.timeout(ms), debug);
    if (failed(findings).includes('handshake')) continue;
    expect(failed(findings)).toEqual(expect.arrayContaining(['keeps text', 'labels']));
    break;
  }
});
