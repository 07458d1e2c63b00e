import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecure } from 'node:https';
import * as fc from 'fast-check';
import { http } from '../../../src/rotation/targets/http/descriptor.ts';
import { OPENSSL } from '../../backends/certificates.ts';
import { describeWith } from '../../backends/server.ts';
import { credential, known, never, openTarget, rotate, rotation, timeIsUp } from './kit.ts';
import { startSilent } from './silent.ts';
import { makeServerCertificate, makeTemporary } from './temporary.ts';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** An API with one key, that only the key's holder may replace. */
class Api {
  readonly seen: Seen[] = [];
  key = 'first';
  ended: string[] = [];
  /** Answers in place of the API. */
  instead: ((response: ServerResponse) => void) | undefined;
  server: Server | undefined;

  get url(): string {
    const address = this.server?.address();
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  }

  async start(server: Server = createServer()): Promise<void> {
    this.server = server;
    server.on(
      'request',
      (request: IncomingMessage, response: ServerResponse) => void this.answer(request, response),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }

  async stop(): Promise<void> {
    this.server?.closeAllConnections();
    await new Promise<void>((resolve) => this.server?.close(() => resolve()));
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const { method, url, headers } = request;
    this.seen.push({ method, url, headers, body });
    if (this.instead !== undefined) {
      this.instead(response);
      return;
    }
    const holder = headers.authorization === `Bearer ${this.key}`;
    if (method === 'PUT' && holder)
      this.key = (JSON.parse(body) as { credentials: { key: string }[] }).credentials[0]?.key ?? '';
    if (method === 'DELETE') this.ended.push(decodeURIComponent(url?.split('/').at(-1) ?? ''));
    response.writeHead(holder || method === 'DELETE' ? 200 : 401).end(`you sent ${body}`);
  }
}

const settingsFor = (url: string) => ({
  apply: {
    method: 'PUT',
    url: `${url}/keys/app`,
    headers: { authorization: 'Bearer {{old.key}}', 'idempotency-key': '{{rotation}}' },
    body: { credentials: [{ key: '{{new.key}}', note: 'from {{rotation}}', days: 30 }] },
  },
  verify: { url: `${url}/me`, headers: { authorization: 'Bearer {{new.key}}' } },
  retire: { method: 'DELETE', url: `${url}/keys/{{old.key}}` },
});

describe('HTTP calls', () => {
  let api: Api;
  beforeEach(async () => {
    api = new Api();
    await api.start();
  });
  afterEach(() => api.stop());
  const keyed = (key: string) => credential({ key });

  test('sets, tries and ends a key', async () => {
    const { target, lines } = await openTarget(http, settingsFor(api.url));
    expect(target.limitKey(undefined)).toBe(new URL(api.url).host);
    expect(await target.check(known(keyed('first')), never)).toMatchObject([{ status: 'ok' }]);
    await rotate(target, keyed('first'), keyed('second'));
    expect(api.key).toBe('second');
    const put = api.seen.find(({ method }) => method === 'PUT');
    expect(put?.headers['idempotency-key']).toMatch(/^rotation/);
    expect(JSON.parse(put?.body ?? '')).toMatchObject({ credentials: [{ key: 'second', days: 30 }] });
    // Done already, as far as a sign-in says: it is sent again, for another call may still be on its way.
    const now = rotation();
    await target.apply(keyed('second'), known(keyed('first'), keyed('second')), now, never);
    const puts = () => api.seen.filter(({ method }) => method === 'PUT');
    expect(puts().at(-1)?.headers).toMatchObject({
      authorization: 'Bearer second',
      'idempotency-key': now.id,
    });
    expect(puts()).toHaveLength(2);
    // The way back signs in with the one that works now, and is no repetition of the way there.
    await target.apply(keyed('first'), known(keyed('first'), keyed('second')), now, never);
    expect(api.key).toBe('first');
    expect(puts().at(-1)?.headers['idempotency-key']).toBe(`${now.id}-back`);
    expect(await target.verify(keyed('second'), never)).toBe('refused');
    await target.retire?.(keyed('a/b?'), keyed('first'), 'expired', never);
    await target.retire?.(keyed('first'), keyed('first'), 'expired', never);
    expect(api.ended).toEqual(['a/b?']);
    expect(lines).toEqual([]);
  });

  test('any value arrives as it is, and stays in its place', async () => {
    const settings = {
      apply: {
        url: `${api.url}/a/{{new}}/b?q={{new}}&z=1`,
        basic: { username: 'app', password: '{{new}}' },
        body: { a: ['{{new}}', { b: 'x {{new}} y' }] },
      },
    };
    const { target } = await openTarget(http, settings);
    api.instead = (response) => response.writeHead(204).end();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ minLength: 1, unit: 'grapheme' }),
          fc.constantFrom('../x', '"}', '{{old}}', '%2e%2e', '\r\nx: y', '&z=2#', '💥\u0000'),
        ),
        async (value) => {
          fc.pre(value !== '.' && value !== '..');
          await target.apply(credential(value), known(), rotation(), never);
          const { url = '', body, headers } = api.seen.at(-1) ?? { headers: {}, body: '' };
          const [, a, path = '', b, ...rest] = (url.split('?')[0] ?? '').split('/');
          expect([a, decodeURIComponent(path), b, rest]).toEqual(['a', value, 'b', []]);
          const query = new URL(url, api.url).searchParams;
          expect([...query]).toEqual([
            ['q', value],
            ['z', '1'],
          ]);
          expect(JSON.parse(body)).toEqual({ a: [value, { b: `x ${value} y` }] });
          const sent = Buffer.from((headers.authorization ?? '').slice(6), 'base64').toString();
          expect(sent).toBe(`app:${value}`);
        },
      ),
      { numRuns: 200 },
    );
    await expect(target.apply(credential('..'), known(), rotation(), never)).rejects.toMatchObject({
      kind: 'Invalid',
    });
  });

  test('a value that a header can’t hold is refused before any call', async () => {
    const { target } = await openTarget(http, { apply: { url: api.url, headers: { 'x-key': '{{new}}' } } });
    for (const value of ['a\r\nx: y', 'ä', '\u0000'])
      await expect(target.apply(credential(value), known(), rotation(), never)).rejects.toMatchObject({
        kind: 'Invalid',
        message: 'the value can’t be sent in the header x-key',
      });
    expect(api.seen).toEqual([]);
  });

  test('an administrator’s credential comes from another secret; without verify the verdict is unknown', async () => {
    const settings = {
      apply: { url: api.url, headers: { 'x-token': '{{admin.token}}' }, body: { key: '{{new}}' } },
      admin: 'ops://api',
    };
    const { target } = await openTarget(http, settings, { 'ops://api': credential({ token: 't-1' }) });
    api.instead = (response) => response.writeHead(201).end();
    await target.apply(credential('second'), known(), rotation(), never);
    expect(api.seen[0]?.headers['x-token']).toBe('t-1');
    expect(await target.verify(credential('second'), never)).toBe('unknown');
  });

  test.each([
    [400, 'Invalid', ''],
    [401, 'Unauthenticated', ''],
    [403, 'Denied', ''],
    [409, 'Conflict', ''],
    [429, 'Throttled', ''],
    [503, 'Unavailable', 'may have been made'],
    [302, 'Unavailable', 'redirects'],
  ])('status %i is %s', async (status, kind, message) => {
    const { target } = await openTarget(http, { apply: { url: api.url, body: '{{new}}' } });
    api.instead = (response) =>
      response.writeHead(status, { location: 'http://192.0.2.1/' }).end('the-new-key');
    const call = target.apply(credential('the-new-key'), known(), rotation(), never);
    await expect(call).rejects.toMatchObject({ kind, message: expect.stringContaining(message) });
    await expect(call).rejects.not.toThrow('the-new-key');
    expect(api.seen).toHaveLength(1);
  });

  test('a verify call that accepts anything, or a stored key that is wrong already, is said before anything is sent', async () => {
    const { target } = await openTarget(http, settingsFor(api.url));
    const check = (current: string) => target.check(known(keyed(current)), never, keyed('nobody-has-it'));
    expect((await check('first')).map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(await check('outdated')).toMatchObject([
      { status: 'fail', kind: 'Unauthenticated' },
      { status: 'ok' },
    ]);
    api.instead = (response) => response.writeHead(200).end();
    expect((await check('first')).at(-1)).toMatchObject({
      status: 'fail',
      kind: 'Unsupported',
      detail: expect.stringContaining('accepts any value'),
    });
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
    const { apply } = settingsFor(api.url);
    const untried = (await openTarget(http, { apply, verify: 'none' })).target;
    expect(await untried.verify(keyed('a'), never)).toBe('unknown');
    expect(http.verifies?.({ apply, verify: 'none' })).toBe(false);
    // What signs in with another credential puts a wrong one right.
    api.instead = undefined;
    const admin = { apply: { url: api.url }, verify: settingsFor(api.url).verify };
    const repairs = (await openTarget(http, admin)).target;
    expect((await repairs.check(known(keyed('outdated')), never))[0]).toMatchObject({ status: 'warn' });
  });

  test('an older version that does not fit into the call is no obstacle', async () => {
    const { target } = await openTarget(http, settingsFor(api.url));
    const previous = credential({ other: 'form' });
    await target.apply(keyed('second'), known(keyed('first'), keyed('second'), previous), rotation(), never);
    expect(api.key).toBe('second');
  });

  test('verify tells refused from out of order, by statuses of one’s own too', async () => {
    const verify = { url: `${api.url}/me`, accepted: [204], refused: [404] };
    const { target } = await openTarget(http, { apply: { url: api.url }, verify });
    const answers: [number, unknown][] = [];
    for (const status of [204, 404, 200, 500]) {
      api.instead = (response) => response.writeHead(status).end();
      answers.push([
        status,
        await target.verify(credential('a'), never).catch((thrown: { kind: string }) => thrown.kind),
      ]);
    }
    expect(answers).toEqual([
      [204, 'accepted'],
      [404, 'refused'],
      [200, 'Invalid'],
      [500, 'Unavailable'],
    ]);
  });

  test('a lost answer and a late one leave a doubt; a server that is not there does not', async () => {
    const { target } = await openTarget(http, { apply: { url: api.url } });
    api.instead = (response) => response.socket?.destroy();
    await expect(target.apply(credential('a'), known(), rotation(), never)).rejects.toThrow(
      'may have been made',
    );
    const silent = await startSilent();
    try {
      const slow = (await openTarget(http, { apply: { url: `http://127.0.0.1:${silent.port}` } })).target;
      const deadline = timeIsUp();
      const call = slow.apply(credential('a'), known(), rotation(), deadline.signal);
      call.catch(() => {});
      await silent.heard;
      deadline.now();
      await expect(call).rejects.toThrow('did not answer in time; the change may have been made');
      await silent.untilClosed();
    } finally {
      await silent.stop();
    }
    await expect(
      openTarget(http, { apply: { url: `http://127.0.0.1:${silent.port}` } }).then((gone) =>
        gone.target.apply(credential('a'), known(), rotation(), never),
      ),
    ).rejects.toMatchObject({ kind: 'Unavailable', message: expect.not.stringContaining('may have been') });
  });

  test.each([
    [{ apply: { url: 'http://api.example.com/' } }, 'must be https'],
    [{ apply: { url: 'https://{{new}}.example.com/' } }, 'fixed host'],
    [{ apply: { url: 'https://user:word@example.com/' } }, 'fixed host'],
    [{ apply: { url: 'https://example.com{{new}}' } }, 'fixed host'],
    [{ apply: { url: 'ftp://example.com/' } }, 'fixed host'],
    [{ apply: { url: 'https://example.com/{{nwe}}' } }, 'is not available there'],
    [{ apply: { url: 'https://example.com/{{new' } }, 'braces'],
    [{ apply: { url: 'https://example.com/', body: { a: ['{{admin}}'] } } }, 'is not available there'],
    [{ apply: { url: 'https://example.com/', headers: { 'a b': 'c' } } }, 'is not a valid header name'],
  ])('refuses %j', async (settings, message) => {
    await expect(openTarget(http, settings)).rejects.toThrow(message);
  });

  test('lists what needs trust', () => {
    const items = http.trustItems({
      apply: {
        url: 'https://api.example.com',
        headers: { Authorization: 'Bearer {{old}}' },
        basic: { username: 'ada', password: '{{old}}' },
        body: { key: '{{new}}' },
      },
      admin: 'ops://api',
    });
    expect(items.map(({ setting, value }) => [setting, value])).toEqual([
      ['apply.url', 'https://api.example.com'],
      ['apply.headers', '{"Authorization":"Bearer {{old}}"}'],
      ['apply.basic', '{"username":"ada","password":"{{old}}"}'],
      ['apply.body', '{"key":"{{new}}"}'],
      ['admin', 'ops://api'],
    ]);
  });
});

describeWith('HTTP calls over TLS', [OPENSSL], () => {
  test('the authority that is named is believed, and no other', async () => {
    const temporary = makeTemporary();
    const certificate = makeServerCertificate(temporary.folder, 'IP:127.0.0.1');
    const api = new Api();
    await api.start(createSecure({ cert: certificate.cert, key: certificate.key }) as unknown as Server);
    try {
      const url = api.url.replace('http:', 'https:');
      const { target } = await openTarget(http, { ...settingsFor(url), ca: certificate.ca });
      expect(await target.verify(credential({ key: 'first' }), never)).toBe('accepted');
      const wrong = (await openTarget(http, settingsFor(url))).target;
      await expect(wrong.verify(credential({ key: 'first' }), never)).rejects.toThrow('is not trusted');
      expect(api.seen).toHaveLength(1);
    } finally {
      await api.stop();
      temporary.remove();
    }
  });
});
