/** A store behind the door denies, throttles, hangs, and comes back: what its clients see. */
import { request } from 'node:http';
import { type ErrorKind, SecretsError } from '../../../src/core/errors.ts';
import { keepOut } from '../../../src/output/confidential.ts';
import type { CallOptions } from '../../../src/providers/call.ts';
import { ask, localStore, openDoor, storesOf, type TestDoor } from './kit.ts';

const CANARY = 'canary-77d1e0';

let home: ReturnType<typeof localStore>;
let door: TestDoor;
/** What the store does with the next read. */
let next: ((call: CallOptions) => Promise<never>) | undefined;
/** Whether it allows reading values, and nothing else. */
let isStrict = false;

beforeAll(async () => {
  home = localStore();
  await home.local.put('app', { value: Buffer.from('value') }, { signal: AbortSignal.timeout(60_000) });
  const stores = storesOf({ local: home.local });
  const { get } = stores;
  door = await openDoor({
    ...stores,
    get: (client, store, wanted, call) =>
      next === undefined ? get(client, store, wanted, call) : next(call),
    versions: (client, store, name, call) =>
      isStrict
        ? Promise.reject(new SecretsError('Denied', 'no'))
        : stores.versions(client, store, name, call),
  });
  keepOut(Buffer.from(CANARY));
});
afterAll(async () => {
  await door.stop();
  await home.remove();
});
afterEach(() => (next = undefined));

const read = (): ReturnType<typeof ask> => ask(door.address, '/v1/local/data/app', { token: door.token });

test.each([
  ['NotFound', 404],
  ['Denied', 403],
  ['Policy', 403],
  ['Unauthenticated', 500],
  ['Throttled', 429],
  ['Unavailable', 503],
  ['Integrity', 500],
  ['Invalid', 400],
] as const)('%s is %i, with the error on one line and no value in it', async (kind: ErrorKind, status) => {
  next = () =>
    Promise.reject(
      new SecretsError(kind, `the service said\n${CANARY}`, { reference: 'local://app', hint: 'try that' }),
    );
  const reply = await read();
  const { errors } = JSON.parse(reply.body) as { errors: readonly string[] };
  const said = kind === 'NotFound' ? [] : ['local://app: the service said ***; try that'];
  expect([reply.status, errors]).toEqual([status, said]);
});

test('a missing secret is 404 where nothing but values may be read', async () => {
  isStrict = true;
  next = () => Promise.reject(new SecretsError('NotFound', 'none'));
  const reply = await read();
  isStrict = false;
  expect([reply.status, reply.body]).toEqual([404, '{"errors":[]}\n']);
});

test('a failure of the program itself says nothing of where it happened', async () => {
  next = () => Promise.reject(new TypeError(`broken at ${CANARY}\n    at file.ts:1`));
  const reply = await read();
  expect([reply.status, JSON.parse(reply.body)]).toEqual([500, { errors: ['broken at ***'] }]);
});

test('a client that leaves ends its call to a store that hangs, and the next one is served', async () => {
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const ended = new Promise<unknown>((resolve) => {
    next = ({ signal }) =>
      new Promise((_, reject) => {
        asked();
        signal.addEventListener('abort', () => {
          resolve((signal.reason as Error).name);
          reject(new SecretsError('Unavailable', 'no answer'));
        });
      });
  });
  const leaving = request(`${door.address}/v1/local/data/app`, { headers: { 'X-Vault-Token': door.token } });
  leaving.on('error', () => undefined);
  leaving.end();
  await isAsked;
  leaving.destroy();
  expect(await ended).toBe('AbortError');
  next = undefined;
  expect((await read()).status).toBe(200);
});

test('closing the door ends what is in progress', async () => {
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const other = await openDoor({
    ...storesOf({ local: home.local }),
    get: (_client, _store, _wanted, { signal }) =>
      new Promise((_, reject) => {
        asked();
        signal.addEventListener('abort', () => reject(new SecretsError('Unavailable', 'no answer')));
      }),
  });
  const waiting = ask(other.address, '/v1/local/data/app', { token: other.token }).catch(
    (error: NodeJS.ErrnoException) => error.code,
  );
  await isAsked;
  await other.stop();
  expect(await waiting).toBe('ECONNRESET');
});
