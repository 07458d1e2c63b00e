/** Who is told of a rotation, of what, and what happens when they can't be. */
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { headersOf, signingKey } from '../../src/platform/net/standard-webhooks.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';
import { makeCertificate } from '../backends/tls.ts';

interface Seen {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

interface Receiver {
  readonly url: string;
  readonly seen: Seen[];
  /** The status of the next answers, then 204. */
  readonly answers: (number | 'broken' | { readonly status: number; readonly retryAfter: string })[];
  stop(): Promise<void>;
}

async function startReceiver(tls?: { readonly key: string; readonly cert: string }): Promise<Receiver> {
  const seen: Seen[] = [];
  const answers: Receiver['answers'] = [];
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      const answer = answers.shift() ?? 204;
      if (answer === 'broken') request.socket.destroy();
      else if (typeof answer === 'number') response.writeHead(answer, { location: '/elsewhere' }).end();
      else response.writeHead(answer.status, { 'retry-after': answer.retryAfter }).end();
    });
  };
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    seen,
    answers,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const ajv = new Ajv2020({ allErrors: true, strict: true });
addFormats.default(ajv);
const validate = ajv.compile(
  JSON.parse(readFileSync(join(ROOT, 'schemas/rotation-notification.schema.json'), 'utf8')) as object,
);

type Document = Readonly<Record<string, unknown>> & { readonly id: string };

function documentOf(text: string): Document {
  const document = JSON.parse(text) as Document;
  validate(document);
  expect({ document, errors: validate.errors }).toEqual({ document, errors: null });
  return document;
}

interface Line {
  readonly reference: string;
  readonly outcome: string;
  readonly version?: string;
  readonly rotation?: string;
  readonly notified?: readonly object[];
}

let place: Place;
let receiver: Receiver;
beforeEach(async () => {
  place = await makePlace();
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver.stop();
  await place.remove();
});

const sh = (script: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  place.sh(script, { SECRETS_LOCAL_KEY_METHOD: 'key-file', ...env });
const linesOf = (text: string): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
const settings = (rotation: object): void =>
  writeFileSync(join(place.cwd, 'secrets.yaml'), JSON.stringify({ rotation }));
/** A program that keeps what it reads, what it was called with, and what is in its environment. */
const program = (name: string, end = 'exit 0'): string => {
  writeFileSync(
    join(place.cwd, name),
    `#!/bin/sh\ncd "$(dirname "$0")"\ncat > ${name}.in\necho "$0 $*" > ${name}.argv\nenv > ${name}.env\n${end}\n`,
    { mode: 0o755 },
  );
  return `./${name}`;
};
const readBack = (name: string): string => readFileSync(join(place.cwd, name), 'utf8');

test('a program reads the outcome, and has no value and no credential of ours', async () => {
  await sh('printf first-value | secrets put --quiet a');
  const { code, stdout, stderr } = await sh(
    `secrets rotate --generate hex:16 a --json --notify ${program('told')}`,
    { VAULT_TOKEN: 'a-token-of-ours', KEPT: 'yes' },
  );
  expect([code, stderr]).toEqual([0, '']);
  const [line] = linesOf(stdout);
  const document = documentOf(readBack('told.in'));
  expect(document).toEqual({
    version: 1,
    type: 'secrets.rotation',
    id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    reference: 'local://a',
    intent: 'rotate',
    outcome: 'done',
    ok: true,
    rotation: line?.rotation,
    versions: { before: '1', after: line?.version },
    user: expect.any(String) as string,
    host: expect.any(String) as string,
    startedAt: expect.any(String) as string,
    endedAt: expect.any(String) as string,
  });
  expect(line?.notified).toEqual([{ to: './told', delivered: true, attempts: 1 }]);
  const { stdout: value } = await sh('secrets get a');
  expect(value).toMatch(/^[0-9a-f]{32}$/);
  expect(readBack('told.env')).toContain('KEPT=yes');
  for (const file of ['told.in', 'told.argv', 'told.env'])
    for (const secret of [value, 'first-value', 'a-token-of-ours'])
      expect(readBack(file)).not.toContain(secret);
});

test('a failure is told with its reason, and what `resume` and `rollback` come to as well', async () => {
  await sh('printf text | secrets put --quiet a');
  settings({ a: { keys: ['password'] }, notify: program('told') });
  expect(await sh('secrets rotate a --trust')).toMatchObject({ code: 2 });
  expect(documentOf(readBack('told.in'))).toMatchObject({
    outcome: 'unchanged',
    ok: false,
    error: { kind: 'Invalid', exitCode: 2, message: expect.stringMatching(/JSON/) as string },
  });
  settings({ a: {}, notify: './told' });
  await sh('secrets rotate a --trust');
  const pending = `printf new | secrets put --quiet a; secrets rotate a --trust`;
  expect(await sh(pending)).toMatchObject({ code: 0 });
  expect(await sh('secrets rotate rollback a --to-previous --trust')).toMatchObject({ code: 0 });
  expect(documentOf(readBack('told.in'))).toMatchObject({ intent: 'rollback', outcome: 'done', ok: true });
  expect(await sh('secrets rotate resume a --trust')).toMatchObject({ code: 0 });
  expect(documentOf(readBack('told.in'))).toMatchObject({ intent: 'resume', outcome: 'nothing' });
});

test('a failure for which nothing could be rotated is told as well', async () => {
  settings({ 'nowhere://a': {}, notify: program('told') });
  const { code, stdout } = await sh('secrets rotate local://b --trust --json');
  expect([code, linesOf(stdout)]).toEqual([
    2,
    [
      expect.objectContaining({
        outcome: 'unchanged',
        notified: [expect.objectContaining({ delivered: true })],
      }),
    ],
  ]);
  expect(documentOf(readBack('told.in'))).toMatchObject({ outcome: 'unchanged', error: { kind: 'Usage' } });
});

test('a webhook that fails half of the time gets every outcome once by its id, signed', async () => {
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) await sh(`printf v | secrets put --quiet ${name}`);
  await sh(
    `printf 'whsec_%s' "$(printf 'a key of thirty-two bytes, at all' | base64)" | secrets put --quiet key`,
  );
  settings({
    parallel: 1,
    notify: { url: `${receiver.url}/hook?team=x`, secret: 'local://key' },
    ...Object.fromEntries(names.map((name) => [name, { generate: 'hex:8' }])),
  });
  receiver.answers.push(500, 204, 'broken', 204, 503, 204, { status: 429, retryAfter: '1' }, 204);
  const { code, stdout, stderr } = await sh(`secrets rotate ${names.join(' ')} --trust --json`);
  expect([code, stderr]).toEqual([0, '']);
  const lines = linesOf(stdout);
  expect(lines.map(({ notified }) => notified).flat()).toEqual(
    names.map(() => ({ to: receiver.url, delivered: true, attempts: expect.any(Number) as number })),
  );
  expect(receiver.seen.length).toBe(8);
  const byId = new Map<string, string>();
  for (const { headers, body } of receiver.seen) {
    const { id, reference } = documentOf(body);
    expect(headers['webhook-id']).toBe(id);
    // A repetition is the same, to the byte.
    expect(byId.get(id) ?? body).toBe(body);
    byId.set(id, body);
    const time = String(headers['webhook-timestamp']);
    expect(Math.abs(Number(time) - Date.now() / 1000)).toBeLessThan(120);
    const signature = createHmac('sha256', 'a key of thirty-two bytes, at all')
      .update(`${id}.${time}.${body}`)
      .digest('base64');
    expect(headers['webhook-signature']).toBe(`v1,${signature}`);
    expect(names.map((name) => `local://${name}`)).toContain(reference);
  }
  expect(byId.size).toBe(4);
});

test('signatures are those of the specification', () => {
  // The example of https://www.standardwebhooks.com: its key, message and signature.
  const key = signingKey(Buffer.from('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'));
  const at = new Date(1_614_265_330_000);
  expect(
    headersOf('msg_p5jXN8AQM9LWM0D4loKWxJek', at, Buffer.from('{"test": 2432232314}'), key),
  ).toMatchObject({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('one that can’t be told is a warning, stands in the outcome, and changes no exit code', async () => {
  await sh('printf v | secrets put --quiet a');
  receiver.answers.push(400, 302);
  const hooks = [
    `${receiver.url}/token-in-path`,
    `${receiver.url}/again`,
    program('angry', 'echo why >&2; exit 3'),
  ];
  const { code, stdout, stderr } = await sh(
    `secrets rotate a --generate hex:8 --json ${hooks.map((hook) => `--notify '${hook}'`).join(' ')}`,
  );
  expect(code).toBe(0);
  const [line] = linesOf(stdout);
  expect(line?.outcome).toBe('done');
  // Neither is worth another try.
  expect(receiver.seen.length).toBe(2);
  expect(line?.notified).toEqual([
    { to: receiver.url, delivered: false, attempts: 1, error: expect.any(String) as string },
    { to: receiver.url, delivered: false, attempts: 1, error: expect.any(String) as string },
    { to: './angry', delivered: false, attempts: 1, error: 'it ended with 3: why' },
  ]);
  expect(stderr).toMatch(/warning: local:\/\/a: .* was not notified: the server answered with status 400/);
  expect(stderr).toMatch(/warning: local:\/\/a: .* was not notified: .*redirects/);
  expect(stdout + stderr).not.toContain('token-in-path');
  // The same of one that is not there, and of a key that is not.
  settings({ a: { notify: [{ url: `${receiver.url}/`, secret: 'local://no-key' }] } });
  const unsigned = await sh('secrets rotate a --trust --notify ./no-such-program');
  expect(unsigned.code).toBe(0);
  expect(unsigned.stderr).toMatch(/was not notified: its key local:\/\/no-key: /);
  expect(unsigned.stderr).toMatch(/no-such-program was not notified: .* was not found/);
  expect(receiver.seen.length).toBe(2);
});

test('a policy’s own receivers take the place of the section’s, and --notify comes on top', async () => {
  for (const name of ['a', 'b', 'c']) await sh(`printf v | secrets put --quiet ${name}`);
  settings({
    notify: program('everyone'),
    a: {},
    b: { notify: [{ program: [program('own'), 'with', 'words'] }] },
    c: { notify: [] },
  });
  const { stdout } = await sh(`secrets rotate a b c --trust --json --notify ${program('flag')}`);
  const told = Object.fromEntries(
    linesOf(stdout).map(({ reference, notified }) => [
      reference,
      (notified as readonly { to: string }[]).map(({ to }) => to),
    ]),
  );
  expect(told).toEqual({
    'local://a': ['./everyone', './flag'],
    'local://b': ['./own', './flag'],
    'local://c': ['./flag'],
  });
  expect(readBack('own.argv')).toBe('./own with words\n');
  // A plan is no outcome.
  expect((await sh(`secrets rotate a --dry-run --trust --notify ${program('plan')}`)).code).toBe(0);
  expect(existsSync(join(place.cwd, 'plan.in'))).toBe(false);
});

test('TLS is verified: a private authority has to be named', async () => {
  const pair = makeCertificate();
  const secure = await startReceiver(pair);
  try {
    await sh('printf v | secrets put --quiet a');
    writeFileSync(join(place.cwd, 'ca.pem'), pair.cert);
    settings({ a: { notify: { url: secure.url } } });
    const unknown = await sh('secrets rotate a --trust');
    expect(unknown).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/certificate of .* is not trusted/),
    });
    expect(secure.seen).toEqual([]);
    settings({ a: { notify: { url: secure.url, ca: 'ca.pem' } } });
    expect(await sh('secrets rotate a --trust')).toMatchObject({ code: 0, stderr: '' });
    expect(secure.seen.length).toBe(1);
  } finally {
    await secure.stop();
  }
});

test('a URL that must not be asked is refused before anything is rotated', async () => {
  await sh('printf v | secrets put --quiet a');
  for (const url of ['http://hooks.example.com/', 'https://user:word@hooks.example.com/', 'ftp://127.0.0.1/'])
    expect(await sh(`secrets rotate a --generate hex:8 --notify ${url}`)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/notify: /),
    });
  settings({ a: {}, notify: ['https://hooks.example.com/', 'http://hooks.example.com/'] });
  expect(await sh('secrets rotate a --trust')).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/secrets\.yaml:1: notify: the URL must be https/),
  });
  expect((await sh('rm secrets.yaml; secrets get a')).stdout).toBe('v');
});

test('nobody whom an untrusted secrets.yaml names is told, and the user’s own are all the same', async () => {
  await sh('printf v | secrets put --quiet a');
  settings({ notify: [`${receiver.url}/x`, program('theirs')] });
  await sh('mkdir -p ~/.config/secrets');
  const own = program('own');
  writeFileSync(
    join(place.home, '.config/secrets/secrets.yaml'),
    JSON.stringify({ rotation: { notify: join(place.cwd, own) } }),
  );
  const { code, stderr } = await sh('secrets rotate a --generate hex:8');
  expect([code, stderr]).toEqual([
    0,
    expect.stringMatching(/rotation\.notify is not used, since .* is not trusted/) as string,
  ]);
  expect(receiver.seen).toEqual([]);
  expect(existsSync(join(place.cwd, 'theirs.in'))).toBe(false);
  expect(documentOf(readBack('own.in'))).toMatchObject({ outcome: 'done' });
  const { stdout } = await sh('secrets trust --dry-run');
  expect(stdout).toMatch(/rotation\.notify: http:.*\n +what came of each rotation is sent to this server\n/);
  expect(stdout).toMatch(/rotation\.notify: \.\/theirs\n +this program is run after each rotation/);
});

test('an untrusted secrets.yaml that names nobody does not silence the user’s own', async () => {
  await sh('printf v | secrets put --quiet a; mkdir -p ~/.config/secrets');
  writeFileSync(
    join(place.home, '.config/secrets/secrets.yaml'),
    JSON.stringify({ rotation: { notify: join(place.cwd, program('own')) } }),
  );
  settings({ notify: [] });
  expect(await sh('secrets rotate a --generate hex:8')).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/rotation\.notify is not used, since .* is not trusted/),
  });
  expect(documentOf(readBack('own.in'))).toMatchObject({ outcome: 'done' });
  expect((await sh('secrets trust --dry-run')).stdout).toMatch(/rotation\.notify: \[\]\n +nobody is told/);
  // Trusted, it does.
  await sh('rm own.in');
  expect(await sh('secrets rotate a --generate hex:8 --trust')).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(join(place.cwd, 'own.in'))).toBe(false);
});
