import { open } from '../../src/providers/aws/index.ts';
import { aws as descriptor } from '../../src/providers/aws/descriptor.ts';
import type { Provider, StoreSettings } from '../../src/providers/provider.ts';
import { type Aws, type Env, scenarioFiles, startAws } from '../backends/aws.ts';
import { describeWith, freePort } from '../backends/server.ts';
import { contextFor, itKeepsTheContract, readOne } from '../contract/suite.ts';

describeWith('aws', scenarioFiles, () => {
  let aws: Aws;
  const opened: Provider[] = [];
  const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(20_000) });
  const start = (env: Env, settings: StoreSettings = {}): Provider => {
    const provider = open(settings, contextFor(env, '/nonexistent'));
    opened.push(provider);
    return provider;
  };

  beforeAll(async () => {
    aws = await startAws();
  });
  afterAll(async () => {
    await Promise.all(opened.map((provider) => provider.close()));
    await aws.stop();
  });

  itKeepsTheContract({
    open: () => start(aws.admin),
    openStranger: () => start({ ...aws.admin, AWS_ACCESS_KEY_ID: 'AKIANOBODYNOBODYNOBO' }),
    openDenied: () => start(aws.nobody),
    openUnreachable: async () =>
      start({ ...aws.admin, AWS_ENDPOINT_URL: `http://127.0.0.1:${await freePort()}` }),
    upstream: () => ({ url: aws.url }),
    openThrough: (url) => start({ ...aws.admin, AWS_ENDPOINT_URL: url }),
    credentials: () => [aws.admin['AWS_SECRET_ACCESS_KEY'] ?? ''],
    pendingNeedsCurrent:
      'PutSecretValue labels the first version of a secret AWSCURRENT, whatever it is asked',
  });

  test('names the credential in a denial and in its identity', async () => {
    await expect(readOne(start(aws.nobody), { name: 'x' })).rejects.toMatchObject({
      kind: 'Denied',
      message: expect.stringMatching(/environment variables.*user\/nobody/),
    });
    expect((await start(aws.admin).identity(now())).principal).toMatch(/^arn:aws:iam::\d{12}:user\/admin$/);
  });

  test('a prefix is put before names and taken off in lists', async () => {
    const inside = start(aws.admin, { prefix: 'payments/' });
    await inside.put('db', { value: Buffer.from('v') }, now());
    expect(Buffer.from((await readOne(start(aws.admin), { name: 'payments/db' })).value).toString()).toBe(
      'v',
    );
    const names: string[] = [];
    for await (const { name } of inside.list({}, now())) names.push(name);
    expect(names).toEqual(['db']);
  });

  test('reads by ARN, whole or without its random end, in the ARN’s region', async () => {
    const store = start(aws.admin);
    await store.put('by/arn', { value: Buffer.from('v') }, now());
    const arn = (await store.describe('by/arn', now())).nativeId ?? '';
    for (const text of [arn, arn.replace(/-[A-Za-z0-9]{6}$/, '')]) {
      const reference = descriptor.native?.(text);
      expect(reference?.settings).toEqual({ region: 'eu-west-1' });
      expect(Buffer.from((await readOne(store, { name: reference?.name ?? '' })).value).toString()).toBe('v');
    }
  });

  test('a pending version is not what current readers get', async () => {
    const store = start(aws.admin);
    await store.put('rotated', { value: Buffer.from('now') }, now());
    await store.put('rotated', { value: Buffer.from('next'), stage: 'pending' }, now());
    expect(Buffer.from((await readOne(store, { name: 'rotated' })).value).toString()).toBe('now');
    expect(Buffer.from((await readOne(store, { name: 'rotated', stage: 'pending' })).value).toString()).toBe(
      'next',
    );
  });

  test('refuses plain http beyond this machine', () => {
    expect(() => open({ endpoint: 'http://example.com' }, contextFor({}, '/nonexistent'))).toThrow(/https/);
  });
});
