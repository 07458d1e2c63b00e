/** The `audit:` section: what it comes to from the user's and the project's file, and what of it needs trust. */
import { join } from 'node:path';
import { auditSchema } from '../../src/config/audit.ts';
import { makeMachine, type Machine } from './setup.ts';

let machine: Machine;
beforeEach(() => {
  machine = makeMachine();
});
afterEach(() => machine.remove());

const MODES = ['off', 'best-effort', 'required'] as const;
type Mode = (typeof MODES)[number];

const write = (user: string | undefined, project: string | undefined): void => {
  if (user !== undefined) machine.write('home/.config/secrets/secrets.yaml', user);
  if (project !== undefined) machine.write('home/p/secrets.yaml', project);
};
const section = (mode: Mode | undefined): string | undefined =>
  mode === undefined ? undefined : `audit: { log: ${mode} }\n`;
/** By the rule as it is written down. */
const stricter = (one: Mode, other: Mode): Mode => (MODES.indexOf(one) > MODES.indexOf(other) ? one : other);

test('without a file it is best-effort, in the XDG state folder', async () => {
  expect((await machine.load('home')).audit).toEqual({
    log: 'best-effort',
    path: join(machine.home, '.local/state/secrets/audit/audit.jsonl'),
  });
  const env = { XDG_STATE_HOME: '/elsewhere' };
  expect((await machine.load('home', {}, { env })).audit.path).toBe('/elsewhere/secrets/audit/audit.jsonl');
});

describe.each<Mode | undefined>([undefined, ...MODES])('with %s of the user’s own', (own) => {
  test.each<Mode | undefined>([undefined, ...MODES])('and %s of a found file', async (found) => {
    write(section(own), section(found));
    const usual = own ?? 'best-effort';
    const { audit, project } = await machine.load('home/p');
    expect(audit.log).toBe(found === undefined ? usual : stricter(usual, found));
    const weaker = found !== undefined && stricter(usual, found) !== found;
    expect(project?.lines.map(({ setting }) => setting) ?? []).toEqual(weaker ? ['audit.log'] : []);
    expect((await machine.load('home/p', { trust: true })).audit.log).toBe(found ?? usual);
  });
});

test('a path of the user’s own counts; one of a found file only when it is trusted', async () => {
  write('audit: { path: ~/logs/audit.jsonl }\n', 'audit: { path: log/audit.jsonl }\n');
  const own = join(machine.home, 'logs/audit.jsonl');
  const { audit, project } = await machine.load('home/p');
  expect(audit.path).toBe(own);
  expect(project?.lines).toEqual([
    {
      setting: 'audit.path',
      value: 'log/audit.jsonl',
      effect: 'the log of your accesses is written there',
      line: 1,
    },
  ]);
  // Seen from the folder of the file.
  expect((await machine.load('home/p', { trust: true })).audit.path).toBe(
    join(machine.home, 'p/log/audit.jsonl'),
  );
});

test('how the signing key is kept is the user’s own to say, or a trusted file’s', async () => {
  write('audit: { key: keychain }\n', 'audit: { key: key-file }\n');
  const { audit, project } = await machine.load('home/p');
  expect(audit.key).toBe('keychain');
  expect(project?.lines).toEqual([
    {
      setting: 'audit.key',
      value: 'key-file',
      effect: 'the key that signs your log is kept there from then on',
      line: 1,
    },
  ]);
  expect((await machine.load('home/p', { trust: true })).audit.key).toBe('key-file');
});

test('how long records are kept is the user’s own to say, or a trusted file’s', async () => {
  write(
    'audit: { rotate-size: 512KiB, keep: 52w }\n',
    'audit:\n  keep: 1s\n  keep-files: 3\n  rotate-size: 1GiB\n',
  );
  const { audit, project } = await machine.load('home/p');
  expect(audit).toMatchObject({ rotateSize: 524_288, keepMs: 52 * 7 * 86_400_000 });
  expect(audit.keepFiles).toBeUndefined();
  expect(project?.lines.map(({ line, setting, value }) => `${line} ${setting}: ${value}`)).toEqual([
    '2 audit.keep: 1s',
    '3 audit.keep-files: 3',
    '4 audit.rotate-size: 1GiB',
  ]);
  expect((await machine.load('home/p', { trust: true })).audit).toMatchObject({
    rotateSize: 2 ** 30,
    keepMs: 1000,
    keepFiles: 3,
  });
  for (const bad of [
    'keep: 90',
    'keep: 0d',
    'keep-files: 0',
    'keep-files: x',
    'rotate-size: 64',
    'rotate-size: 1TiB',
  ]) {
    write(`audit: { ${bad} }\n`, undefined);
    await expect(machine.load('home')).rejects.toMatchObject({ kind: 'Usage' });
  }
});

test('says what a line means to whom it is shown', async () => {
  write(section('required'), 'audit:\n  log: off\nprofiles:\n  ci: { audit: { log: best-effort } }\n');
  const { project } = await machine.load('home/p');
  expect(project?.lines.map(({ line, setting, effect }) => `${line} ${setting}: ${effect}`)).toEqual([
    '2 audit.log: your accesses are not recorded',
    '4 profiles.ci.audit.log: your accesses go on where they can’t be recorded, against your own settings',
  ]);
});

test('a profile counts when it is chosen', async () => {
  write(undefined, 'profiles:\n  ci: { audit: { log: required } }\n  quiet: { audit: { log: off } }\n');
  expect((await machine.load('home/p')).audit.log).toBe('best-effort');
  expect((await machine.load('home/p', { profile: 'ci' })).audit.log).toBe('required');
  expect((await machine.load('home/p', { profile: 'quiet' })).audit.log).toBe('best-effort');
  expect((await machine.load('home/p', { profile: 'quiet', trust: true })).audit.log).toBe('off');
});

test('a file that is trusted and only asks for more needs no record of trust', async () => {
  write(undefined, section('required'));
  expect((await machine.load('home/p')).project).toMatchObject({ lines: [], trusted: true });
});

test.each([
  ['audit: { log: on }', /:1: audit\.log must be "required" or "best-effort" or "off"/],
  ['audit: { log: true }', /:1: audit\.log must be/],
  ['audit: { path: "" }', /:1: audit\.path must be a text that is not empty/],
  ['audit: { path: /tmp/ }', /:1: audit\.path must be a file/],
  ['audit: { path: "a\\nb" }', /:1: audit\.path contains a control character/],
  ['audit: { path: "a\\0b" }', /control character/],
  [`audit: { path: "${'x'.repeat(3000)}" }`, /:1: audit\.path is longer than/],
  ['audit: { key: passphrase }', /:1: audit\.key must be "key-file" or "keychain"/],
  ['audit: { path: [a] }', /:1: audit\.path must be/],
  ['audit: { lgo: off }', /:1: unknown key audit\.lgo/],
  ['audit: [off]', /:1: audit must be a map/],
  ['audit: off', /:1: audit must be/],
])('%s is refused', async (yaml, message) => {
  write(undefined, `${yaml}\n`);
  await expect(machine.load('home/p')).rejects.toMatchObject({
    kind: 'Usage',
    message: expect.stringMatching(message) as string,
  });
});

test('every key of the section needs trust when it can take records away', () => {
  // `log` where it is weaker, the others always: all above. `report` and `suppress` keep findings from the user: below.
  // Another key has to be looked at here.
  const [recording, reporting] = [
    ['log', 'path', 'key', 'rotate-size', 'keep', 'keep-files'],
    ['report', 'suppress'],
  ];
  // Each sink says what it asks for: below.
  expect(Object.keys(auditSchema.entries).toSorted()).toEqual(
    [...recording, ...reporting, 'sinks'].toSorted(),
  );
});

const day = (text: string): string => `[{ rule: '*', secret: '**', reason: r, until: ${text} }]`;

test('what the report leaves out and measures by is the user’s own to say, or a trusted file’s', async () => {
  write(
    `audit: { report: { max-versions: 3, learn: 7d }, suppress: ${day('2026-02-01')} }\n`,
    `audit:\n  report: { max-versions: 999, burst: 1s }\n  suppress: ${day('2026-03-01')}\n`,
  );
  const own = { rule: '*', secret: '**', reason: 'r', until: '2026-02-01' };
  const config = await machine.load('home/p');
  expect(config).toMatchObject({
    report: { 'max-versions': 3, learn: '7d' },
    suppress: [own],
    project: { trusted: false },
  });
  expect(config.suppress).toHaveLength(1);
  expect(config.untrustedReport).toEqual(config.project?.lines);
  expect(config.project?.lines).toEqual([
    {
      setting: 'audit.report.max-versions',
      value: '999',
      effect: 'the audit report measures by other limits',
      line: 2,
    },
    {
      setting: 'audit.report.burst',
      value: '1s',
      effect: 'the audit report measures by other limits',
      line: 2,
    },
    {
      setting: 'audit.suppress.0',
      value: '* of ** until 2026-03-01',
      effect: 'findings of the audit report are left out',
      line: 3,
    },
  ]);
  const trusted = await machine.load('home/p', { trust: true });
  expect(trusted).toMatchObject({
    report: { 'max-versions': 999, learn: '7d', burst: '1s' },
    suppress: [own, { ...own, until: '2026-03-01' }],
  });
  expect(trusted.untrustedReport).toBeUndefined();
  // What is empty asks for nothing.
  write(undefined, 'audit: { report: {}, suppress: [] }\n');
  expect((await machine.load('home/p')).project).toMatchObject({ lines: [], trusted: true });
});

test('a suppression ends within a year, whoever wrote it', async () => {
  // A year and a day from the 2nd of January 2026, the clock of these tests.
  write(`audit: { suppress: ${day('2027-01-03')} }\n`, undefined);
  expect((await machine.load('home')).suppress).toHaveLength(1);
  for (const until of ['2027-01-04', '9999-12-31']) {
    write(
      `audit: { suppress: ${day('2026-02-01')} }\n`,
      `profiles:\n  a:\n    audit: { suppress: ${day(until)} }\n`,
    );
    await expect(machine.load('home/p')).rejects.toMatchObject({
      kind: 'Usage',
      message: expect.stringMatching(
        /secrets\.yaml:3: profiles\.a\.audit\.suppress\.0\.until: a suppression ends within a year$/,
      ) as string,
    });
  }
});

const HOOK = '{ type: webhook, url: "https://siem.example/h", secret: "ops://k", ca: ca.pem, hold: 2d }';

test('each setting of a sink needs trust, or changes nothing but the form of messages', async () => {
  const sinks = [
    `a: ${HOOK}`,
    'b: { type: otlp, url: "https://c.example/v1/logs", headers: "ops://h" }',
    'c: { type: syslog, address: "tls://log.example", facility: local0, ca: x.pem, hold: 1w }',
    'd: { type: otlp, url: "http://127.0.0.1:4318/v1/logs" }',
  ];
  write(undefined, `audit: { sinks: { ${sinks.join(', ')} } }\n`);
  const { project, audit } = await machine.load('home/p');
  expect(project?.trusted).toBe(false);
  expect(project?.lines.map(({ setting }) => setting.replace('audit.sinks.', '')).toSorted()).toEqual(
    [
      ...['a.url', 'a.secret', 'a.ca', 'a.hold', 'b.url', 'b.headers'],
      ...['c.address', 'c.ca', 'c.hold', 'd.url', 'd.type'],
    ].toSorted(),
  );
  for (const { effect } of project?.lines ?? []) expect(effect).toMatch(/^[a-z].{15,}[^.]$/);
  expect(audit).toMatchObject({ untrustedSinks: true });
  expect(audit.sinks).toBeUndefined();
});

test('the user’s own sinks count whatever a project says, trusted or not', async () => {
  write(
    `audit: { sinks: { siem: ${HOOK} } }\n`,
    'audit: { sinks: { siem: { type: syslog, address: "unix:/x" }, b: { type: syslog, address: "unix:/y" } } }\n',
  );
  const named = async (trust: boolean) =>
    (await machine.load('home/p', { trust })).audit.sinks?.map(({ name, source, given }) => [
      name,
      source,
      given.type,
    ]);
  expect(await named(false)).toEqual([['siem', 'user', 'webhook']]);
  expect(await named(true)).toEqual([
    ['siem', 'user', 'webhook'],
    ['b', 'project', 'syslog'],
  ]);
});

test.each([
  ['{ type: smtp }', /:1: audit\.sinks\.s\.type must be/],
  ['{ type: webhook }', /:1: audit\.sinks\.s\.url is missing/],
  ['{ type: webhook, url: "http://siem.example/" }', /:1: audit\.sinks\.s\.url must be https/],
  ['{ type: webhook, url: "ftp://siem.example/" }', /url is not an http URL/],
  ['{ type: webhook, url: "https://u:p@siem.example/" }', /looks like a secret/],
  [
    '{ type: webhook, url: "https://siem.example/", secret: key }',
    /secret must be a reference that names its store/,
  ],
  ['{ type: otlp, url: "http://10.0.0.1:4318/v1/logs" }', /url must be https/],
  ['{ type: otlp, url: "https://c.example/", headers: { a: b } }', /headers must be a text/],
  ['{ type: otlp, url: "https://c.example/", headers: "Authorization=x" }', /headers must be a reference/],
  ['{ type: syslog, address: "tcp://log.example:514" }', /address must be tls:/],
  ['{ type: syslog, address: "udp://127.0.0.1:514" }', /address is not the address of a syslog server/],
  ['{ type: syslog, address: "unix:log" }', /address is not the address/],
  ['{ type: syslog, address: "tcp://127.0.0.1" }', /address is not the address/],
  ['{ type: syslog, address: "tls://log.example:70000" }', /address is not the address/],
  ['{ type: syslog, address: "unix:/dev/log", ca: x }', /ca goes with tls/],
  ['{ type: syslog, address: "unix:/dev/log", facility: kern }', /facility must be/],
  ['{ type: syslog, address: "unix:/dev/log", hold: ever }', /hold/],
  ['{ type: syslog, address: "unix:/dev/log", url: x }', /unknown key audit\.sinks\.s\.url/],
])('the sink %s is refused', async (yaml, message) => {
  write(undefined, `audit: { sinks: { s: ${yaml} } }\n`);
  await expect(machine.load('home/p')).rejects.toMatchObject({
    kind: 'Usage',
    message: expect.stringMatching(message) as string,
  });
});
