/**
 * A plugin for tests, written from docs/plugins.md: it has every capability, by keeping its secrets in a local store,
 * and it misbehaves in the way that its setting `mode` names. Bundled to a program by tests/backends/plugin.ts.
 */
import { createInterface } from 'node:readline';
import { SecretsError } from '../../../src/core/errors.ts';
import { open } from '../../../src/providers/local/index.ts';
import type { Provider, SecretRequest, SecretWrite } from '../../../src/providers/provider.ts';

interface Request {
  readonly id: number;
  readonly method: string;
  readonly deadline?: number;
  readonly params: Readonly<Record<string, unknown>>;
}
type Fields = Record<string, unknown>;

let mode = '';
let store: Provider;
/** Items of one page of a list. */
const PAGE = 100;
const cancelled = new Set<number>();
let turn = Promise.resolve();
let stubborn: NodeJS.Timeout | undefined;

const write = (text: string): void => void process.stdout.write(text);
const send = (part: Fields): void => write(`${JSON.stringify(part)}\n`);
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const never = (): Promise<never> => new Promise(() => undefined);
const errorOf = (thrown: unknown): Fields => {
  const error = thrown as SecretsError;
  return {
    kind: mode === 'odd-kind' ? 'Melted' : (error.kind ?? 'Failed'),
    message: error.message,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(/may have been made/.test(error.message) && { inDoubt: true }),
  };
};

function hello({ settings, protocol }: Fields): Fields {
  const { folder, mode: given = '', ...rest } = settings as Record<string, string>;
  mode = given;
  const context = {
    store: 'full',
    env: {},
    home: folder as string,
    cwd: '/',
    now: () => new Date(),
    warn: () => undefined,
    debug: () => undefined,
    askHidden: undefined,
  };
  store = open({ path: `${folder}/store`, key: { method: 'key-file', file: `${folder}/key` } }, context);
  const { rules } = store;
  const { min, max } = protocol as { min: number; max: number };
  if (min > 1 || max < 1) throw new SecretsError('Unsupported', 'speaks version 1');
  if (mode === 'environment') process.stderr.write(JSON.stringify(process.env));
  return {
    protocol: mode === 'new-protocol' ? 7 : 1,
    name: 'full',
    version: '1.0',
    capabilities: mode === 'claims-nothing' ? [] : [...store.capabilities, 'a-capability-of-the-future'],
    rules: {
      ...rules,
      maxValueBytes: 65_536,
      ...(mode === 'bad-rules' && { maxValueBytes: 1e12 }),
      ...rest,
    },
  };
}

async function get(
  { requests }: Fields,
  call: { signal: AbortSignal },
  item: (part: Fields) => void,
): Promise<Fields> {
  const asked = requests as SecretRequest[];
  const results = await store.get(asked, call);
  const parts = results.map((result, index): Fields => {
    if (!result.ok) {
      if (mode === 'missing-is-empty' && result.error.kind === 'NotFound')
        return { index, secret: { id: '1', state: 'enabled', value: '' } };
      return { index, error: errorOf(result.error) };
    }
    const { value, name: _, ...info } = result.secret;
    const kept = mode === 'trims' ? Buffer.from(Buffer.from(value).toString().trim()) : value;
    return { index, secret: { ...info, value: mode === 'bad-base64' ? '!!' : text(kept) } };
  });
  if (mode === 'order' && parts.length > 1)
    parts.forEach((part, index) => (part['index'] = (index + 1) % parts.length));
  if (mode === 'drops-missing') return (parts.filter(({ error }) => error === undefined).forEach(item), {});
  if (mode === 'same-index') parts.push({ ...parts[0] });
  for (const part of parts.toReversed()) item(part);
  return {};
}

async function list(
  params: Fields,
  call: { signal: AbortSignal },
  item: (part: Fields) => void,
): Promise<Fields> {
  const { prefix, deleted, details, next } = params as Record<string, never>;
  if (mode === 'endless-list')
    for (let n = 0; ; n += 1) {
      item({ name: `${prefix ?? ''}${n}` });
      if (n % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  if (mode === 'same-cursor') return { next: 'again' };
  const names: Fields[] = [];
  for await (const info of store.list(
    { prefix: mode === 'ignores-prefix' ? '' : prefix, deleted, details },
    call,
  ))
    names.push({ ...info });
  const start = Number(next ?? 0);
  for (const info of names.slice(start, start + PAGE)) item(info);
  if (mode === 'lists-twice' && names[0] !== undefined) item(names[0]);
  return start + PAGE < names.length ? { next: String(start + PAGE) } : {};
}

async function put(params: Fields, call: { signal: AbortSignal }): Promise<Fields> {
  const { name, value, expiresAt, ...more } = params as Record<string, string>;
  const data = Buffer.from(value as string, 'base64');
  if (mode === 'crash-in-put') process.kill(process.pid, 'SIGKILL');
  if (mode === 'value-in-stderr') process.stderr.write(`writing ${data.toString()}\n`);
  if (mode === 'base64-in-stderr') process.stderr.write(JSON.stringify(params));
  if (mode === 'value-in-message') throw new SecretsError('Invalid', `can't write ${data.toString()}`);
  if (mode === 'put-in-doubt')
    throw Object.assign(new SecretsError('Unavailable', 'lost'), { message: 'may have been made' });
  if (data.length > 65_536 && mode !== 'any-size') throw new SecretsError('Invalid', 'is too large');
  const { ifAbsent, ifVersion, ifPending, stage, labels, ...others } = more;
  const conditions =
    mode === 'ignores-conditions' || (mode === 'ignores-claims' && stage === 'pending')
      ? {}
      : { ifAbsent, ifVersion, ifPending };
  const kept: Fields = {
    ...others,
    ...conditions,
    ...(mode !== 'pending-is-current' && { stage }),
    ...(mode !== 'drops-labels' && { labels }),
    ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
  };
  if (mode === 'drops-description') delete kept['description'];
  const { ...info } = await store.put(
    mode === 'lower-case' ? String(name).replaceAll(/[^a-z0-9-]/gi, '-') : (name as string),
    { ...kept, value: data } as unknown as SecretWrite,
    call,
  );
  if (mode === 'bad-shape') return { id: 7 };
  if (mode === 'other-id') return { ...info, id: `${info.id}0` };
  return { ...info };
}

async function answer({ id, method, params }: Request, call: { signal: AbortSignal }): Promise<Fields> {
  const item = (part: Fields): void => send({ id, item: part });
  const { name, version } = params as { name: string; version: string };
  switch (method) {
    case 'hello':
      return hello(params);
    case 'get':
      return get(params, call, item);
    case 'list':
      return list(params, call, item);
    case 'put':
      return put(params, call);
    case 'delete':
      return { ...(await store.delete(name, {}, call)) };
    case 'describe':
      return { ...(await store.describe(name, call)) };
    case 'identity':
      return { ...(await store.identity(call)), details: null };
    case 'diagnose':
      return { findings: await store.diagnose(call) };
    case 'history': {
      if (mode === 'no-history') throw new SecretsError('Unsupported', 'no history after all');
      const versions = [];
      for await (const info of store.history?.(name, call) ?? []) versions.push({ ...info });
      if (mode === 'oldest-first') versions.reverse();
      versions.forEach(item);
      return {};
    }
    case 'makeCurrent':
      return { ...(await store.makeCurrent?.(name, version, call)) };
    case 'restore':
      if (mode !== 'no-restore') await store.restore?.(name, call);
      return {};
    case 'purge':
      await store.purge?.(name, version, call);
      return {};
    default:
      if (mode === 'dies-of-unknown') process.exit(9);
      throw new SecretsError('Unsupported', 'there is no such method');
  }
}

/** What some modes do in place of an answer. @returns whether that was all */
async function misbehave({ id, method, params }: Request): Promise<boolean> {
  if (method === 'hello') return false;
  switch (mode) {
    case 'junk':
      write(`plain words, and ${JSON.stringify(params)}\n`);
      return true;
    case 'flood':
      for (;;)
        if (!process.stdout.write('x'.repeat(65_536)))
          await new Promise((go) => process.stdout.once('drain', go));
    case 'flood-stderr':
      for (let n = 0; n < 200; n += 1) process.stderr.write(`${'e'.repeat(65_535)}\n`);
      return false;
    case 'silent':
      return never();
    case 'one-at-a-time':
      turn = turn.then(() => new Promise((go) => setTimeout(go, 1)));
      return method === 'get' && Math.random() < 0.5 ? never() : false;
    case 'unknown-id':
      send({ id: id + 1000, result: {} });
      return true;
    case 'result-and-error':
      send({ id, result: {}, error: { kind: 'Failed', message: 'both' } });
      return true;
    case 'items-for-describe':
      if (method === 'describe') send({ id, item: {} });
      return false;
    case 'exit':
      process.exit(3);
    case 'crash-in-get':
      if (method === 'get') process.kill(process.pid, 'SIGSEGV');
      return false;
    case 'closes-output':
      process.stdout.end();
      stubborn = setInterval(() => undefined, 1000);
      return never();
    default:
      return false;
  }
}

async function handle(request: Request): Promise<void> {
  const { id, deadline = Infinity } = request;
  try {
    if (await misbehave(request)) return;
    if (deadline < Date.now() && mode !== 'ignores-deadline')
      throw new SecretsError('Unavailable', 'the deadline has passed');
    const result = await answer(request, { signal: AbortSignal.timeout(60_000) });
    if (mode === 'forgets-cancelled') await new Promise((go) => setTimeout(go, 20));
    if (mode === 'forgets-cancelled' && cancelled.has(id)) return;
    send({ id, result, more: 'to be ignored' });
    if (mode === 'twice' && request.method !== 'hello') send({ id, result });
  } catch (thrown) {
    send({ id, error: errorOf(thrown) });
  }
}

createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on('line', (line) => {
    const request = JSON.parse(line) as Request;
    if (request.method === 'cancel') {
      cancelled.add((request.params as { id: number }).id);
      if (mode === 'dies-of-cancel') process.exit(9);
    } else void handle(request);
  })
  .on('close', () => {
    if (mode !== 'stubborn') return;
    stubborn = setInterval(() => undefined, 1000);
  });
process.on('SIGTERM', () => {
  if (mode !== 'stubborn') process.exit(0);
});
process.once('exit', () => clearInterval(stubborn));
