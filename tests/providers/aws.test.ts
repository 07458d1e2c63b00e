import { open } from '../../src/providers/aws/index.ts';
import type { AwsProvider } from '../../src/providers/aws/provider.ts';
import { aws as descriptor } from '../../src/providers/aws/descriptor.ts';
import type { Provider, SecretRequest } from '../../src/providers/provider.ts';
import type { StoreSettings } from '../../src/core/trust.ts';
import { type Aws, type Env, scenarioFiles, startAws } from '../backends/aws.ts';
import { describeWith, freePort } from '../backends/server.ts';
import { startFaultProxy } from '../contract/fault-proxy.ts';
import { contextFor, itKeepsTheContract, kindOf, readOne } from '../contract/suite.ts';

type Sdk = typeof import('@aws-sdk/client-secrets-manager');

describeWith('aws', scenarioFiles, () => {
  let aws: Aws;
  const opened: Provider[] = [];
  const now = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(120_000) });
  const start = (env: Env, settings: StoreSettings = {}): AwsProvider => {
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

  /** AWS's own client, in the place of its console or of a rotation function. */
  const theirs = async <T>(
    work: (sdk: Sdk, client: InstanceType<Sdk['SecretsManagerClient']>) => Promise<T>,
  ) => {
    process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
    const sdk = await import('@aws-sdk/client-secrets-manager');
    const client = new sdk.SecretsManagerClient({
      endpoint: aws.url,
      region: 'eu-west-1',
      credentials: {
        accessKeyId: aws.admin['AWS_ACCESS_KEY_ID'] ?? '',
        secretAccessKey: aws.admin['AWS_SECRET_ACCESS_KEY'] ?? '',
      },
    });
    try {
      return await work(sdk, client);
    } finally {
      client.destroy();
    }
  };

  itKeepsTheContract({
    makeEmpty: (name) => theirs((sdk, client) => client.send(new sdk.CreateSecretCommand({ Name: name }))),
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

  test.each(['/prod/db', 'prod/db/', 'prod//db', '//'])('takes the name %s', async (name) => {
    const store = start(aws.admin);
    await store.put(name, { value: Buffer.from(name) }, now());
    expect(Buffer.from((await readOne(store, { name })).value).toString()).toBe(name);
    const listed: string[] = [];
    for await (const info of store.list({ prefix: name }, now())) listed.push(info.name);
    expect(listed).toContain(name);
    await store.purge(name, undefined, now());
  });

  test('lists no secret whose name is the prefix alone, which has no name then', async () => {
    await start(aws.admin).put('bare/', { value: Buffer.from('v') }, now());
    const names: string[] = [];
    for await (const { name } of start(aws.admin, { prefix: 'bare/' }).list({}, now())) names.push(name);
    expect(names).toEqual([]);
  });

  test('an empty token of the next page ends the list', async () => {
    const proxy = await startFaultProxy({ url: aws.url });
    try {
      const store = start({ ...aws.admin, AWS_ENDPOINT_URL: proxy.url });
      const page = { SecretList: [{ Name: 'only', ARN: 'arn' }], NextToken: '' };
      const headers = { 'content-type': 'application/x-amz-json-1.1' };
      proxy.fault({ answer: { status: 200, headers, body: JSON.stringify(page) } });
      const names: string[] = [];
      for await (const { name } of store.list({}, now())) names.push(name);
      expect(names).toEqual(['only']);
    } finally {
      await proxy.stop();
    }
  });

  test('reads by ARN, whole or without its random end, in the ARN’s region', async () => {
    const store = start(aws.admin);
    await store.put('by/arn', { value: Buffer.from('v') }, now());
    const arn = (await store.describe('by/arn', now())).nativeId ?? '';
    for (const text of [arn, arn.replace(/-[A-Za-z0-9]{6}$/, '')]) {
      const reference = descriptor.native?.(text);
      expect(reference?.settings).toEqual({ region: 'eu-west-1', prefix: null, arn: true });
      const opened = start(aws.admin, { prefix: 'team/', ...reference?.settings });
      expect(Buffer.from((await readOne(opened, { name: reference?.name ?? '' })).value).toString()).toBe(
        'v',
      );
    }
  });

  describe('as others leave it', () => {
    const text = async (request: SecretRequest): Promise<string> =>
      Buffer.from((await readOne(start(aws.admin), request)).value).toString();

    test('AWSPENDING on a current version, as a rotation leaves it, is no pending version', async () => {
      const store = start(aws.admin);
      const name = 'rotated/by/aws';
      const { id } = await store.put(name, { value: Buffer.from('now') }, now());
      await theirs((sdk, client) =>
        client.send(
          new sdk.UpdateSecretVersionStageCommand({
            SecretId: name,
            VersionStage: 'AWSPENDING',
            MoveToVersionId: id,
          }),
        ),
      );
      expect(await kindOf(readOne(store, { name, stage: 'pending' }))).toBe('NotFound');
      expect((await readOne(store, { name })).stages).toEqual(['current']);
      await store.put(name, { value: Buffer.from('later') }, now());
      expect(await kindOf(readOne(store, { name, stage: 'pending' }))).toBe('NotFound');
      const claim = await store.put(
        name,
        { value: Buffer.from('next'), stage: 'pending', ifAbsent: true },
        now(),
      );
      expect(await text({ name, stage: 'pending' })).toBe('next');
      await store.makeCurrent(name, claim.id, now());
      const described = await theirs((sdk, client) =>
        client.send(new sdk.DescribeSecretCommand({ SecretId: name })),
      );
      expect(
        Object.values(described.VersionIdsToStages ?? {})
          .flat()
          .toSorted(),
      ).toEqual(['AWSCURRENT', 'AWSPREVIOUS']);
    });

    test('a secret without any version takes no pending one, and its first is current', async () => {
      const store = start(aws.admin);
      const name = 'made/by/terraform';
      await theirs((sdk, client) => client.send(new sdk.CreateSecretCommand({ Name: name })));
      expect(await kindOf(readOne(store, { name }))).toBe('NotFound');
      const pending = { value: Buffer.from('x'), stage: 'pending' } as const;
      expect(await kindOf(store.put(name, pending, now()))).toBe('Unsupported');
      await store.put(name, { value: Buffer.from('first') }, now());
      expect(await text({ name })).toBe('first');
    });

    test('a new secret is under the store’s KMS key', async () => {
      const store = start(aws.admin, { 'kms-key': 'alias/payments' });
      await store.put('under/key', { value: Buffer.from('v') }, now());
      const described = await theirs((sdk, client) =>
        client.send(new sdk.DescribeSecretCommand({ SecretId: 'under/key' })),
      );
      expect(described.KmsKeyId).toBe('alias/payments');
    });

    test('another’s label is a stage', async () => {
      const store = start(aws.admin);
      const { id } = await store.put('labelled', { value: Buffer.from('v') }, now());
      await theirs((sdk, client) =>
        client.send(
          new sdk.UpdateSecretVersionStageCommand({
            SecretId: 'labelled',
            VersionStage: 'canary',
            MoveToVersionId: id,
          }),
        ),
      );
      expect(await text({ name: 'labelled', stage: 'canary' })).toBe('v');
      expect((await readOne(store, { name: 'labelled' })).stages).toEqual(['current', 'canary']);
    });

    test('no label of ours is left after writes under a condition, won or lost', async () => {
      const store = start(aws.admin);
      const name = 'labels/left';
      const { id } = await store.put(name, { value: Buffer.from('0') }, now());
      const writes = Array.from({ length: 6 }, (_, index) =>
        kindOf(store.put(name, { value: Buffer.from(`${index}`), ifVersion: id }, now())),
      );
      expect((await Promise.all(writes)).filter((kind) => kind === 'no error').length).toBe(1);
      const described = await theirs((sdk, client) =>
        client.send(new sdk.DescribeSecretCommand({ SecretId: name })),
      );
      expect(
        Object.values(described.VersionIdsToStages ?? {})
          .flat()
          .toSorted(),
      ).toEqual(['AWSCURRENT', 'AWSPREVIOUS']);
    });
  });

  test('twenty secrets a call, and one for what the batch did not give', async () => {
    const store = start(aws.admin);
    const names = Array.from({ length: 45 }, (_, index) => `batch/${index}`);
    for (const name of names) await store.put(name, { value: Buffer.from(name) }, now());
    const proxy = await startFaultProxy({ url: aws.url });
    try {
      const through = start({ ...aws.admin, AWS_ENDPOINT_URL: proxy.url });
      const asked = [...names, 'batch/none'].map((name) => ({ name }));
      const results = await through.get(asked, now());
      expect(results.filter(({ ok }) => ok).length).toBe(45);
      expect(proxy.requests.length).toBe(Math.ceil(46 / 20) + 1);
    } finally {
      await proxy.stop();
    }
  });

  test('a write whose answers are lost again and again is one version', async () => {
    const store = start(aws.admin);
    await store.put('lost/often', { value: Buffer.from('old') }, now());
    const proxy = await startFaultProxy({ url: aws.url });
    try {
      proxy.fault('lost', { times: 3 });
      const through = start({ ...aws.admin, AWS_ENDPOINT_URL: proxy.url });
      const { id } = await through.put('lost/often', { value: Buffer.from('new') }, now());
      expect(proxy.requests.length).toBe(4);
      const ids: string[] = [];
      for await (const version of store.history('lost/often', now())) ids.push(version.id);
      expect(ids.length).toBe(2);
      expect((await readOne(store, { name: 'lost/often' })).id).toBe(id);
    } finally {
      await proxy.stop();
    }
  });

  test('the doctor says that the clock is off, as AWS’s answers show', async () => {
    const proxy = await startFaultProxy({ url: aws.url });
    try {
      const through = start({ ...aws.admin, AWS_ENDPOINT_URL: proxy.url });
      const clock = async (): Promise<string | undefined> =>
        (await through.diagnose(now())).find(({ check }) => check === 'clock')?.detail;
      expect(await clock()).toBe('agrees with AWS’s');
      const date = new Date(Date.now() + 3_600_000).toUTCString();
      const body = JSON.stringify({ SecretList: [] });
      const headers = { date, 'content-type': 'application/x-amz-json-1.1' };
      proxy.fault({ answer: { status: 200, headers, body } });
      expect(await clock()).toMatch(/^is 3[56]\d\d s behind AWS’s$/);
    } finally {
      await proxy.stop();
    }
  });

  test('what leads elsewhere, or makes you somebody else, needs trust', () => {
    const settings = {
      region: 'eu-west-1',
      endpoint: 'https://a.example',
      'sts-endpoint': 'https://b.example',
      'assume-role': 'arn:aws:iam::123456789012:role/r',
    };
    expect(descriptor.trustItems(settings).map(({ setting, value }) => [setting, value])).toEqual([
      ['endpoint', 'https://a.example'],
      ['sts-endpoint', 'https://b.example'],
      ['assume-role', 'arn:aws:iam::123456789012:role/r'],
    ]);
    expect(descriptor.trustItems({ region: 'eu-west-1', prefix: 'team/' })).toEqual([]);
    expect(descriptor.trustItems({ profile: 'p' })).toHaveLength(1);
  });

  test('a name is checked with the prefix before it, since that is what AWS is asked for', () => {
    const account = 'arn:aws:secretsmanager:eu-west-1:666666666666:secret:';
    const check = (prefix: string, name: string) => (): void =>
      start(aws.admin, { prefix, region: 'eu-west-1' }).checkName(name);
    expect(check('team/', 'db')).not.toThrow();
    expect(check('ar', 'n:aws:x')).toThrow('aws allows names of');
    expect(check('arn:', '')).toThrow('aws allows names of');
    expect(check('a:b', 'c')).toThrow('aws allows names of');
    expect(check('arn:aws:', 'secretsmanager:eu-west-1:666666666666:secret:x')).toThrow(
      'aws allows names of',
    );
    for (let end = 0; end <= account.length; end++)
      expect(check(account.slice(0, end), `${account.slice(end)}x:y`)).toThrow('aws allows names of');
    for (let end = 0; end < account.length; end++)
      expect(check(account.slice(0, end), `${account.slice(end)}x`)).toThrow('aws allows names of');
    // Only a file that is trusted gets here with one.
    expect(check(account, 'db')).not.toThrow();
    expect(check(account, 'a b')).toThrow('aws allows names of');
  });

  test('an ARN is taken as a whole, and by nothing that has a store before it', () => {
    const arn = 'arn:aws:secretsmanager:eu-west-1:666666666666:secret:x-AbCdEf';
    const { name, settings } = descriptor.native?.(arn) ?? { name: '', settings: {} };
    const opened = start(aws.admin, { prefix: 'team/', ...settings });
    expect(() => opened.checkName(name)).not.toThrow();
    expect(() => opened.checkName('db')).toThrow('aws allows names of');
    expect(() => start(aws.admin, { region: 'eu-west-1' }).checkName(arn)).toThrow('aws allows names of');
  });

  test('a store’s endpoint is not taken for that of STS, unless it is on loopback', async () => {
    const { AWS_ENDPOINT_URL: url = '', ...env } = aws.admin;
    const settings = { endpoint: url };
    expect((await start(env, settings).identity(now())).principal).toMatch(/user\/admin$/);
    const elsewhere = { endpoint: 'https://secrets.example', 'sts-endpoint': url };
    expect((await start(env, elsewhere).identity(now())).principal).toMatch(/user\/admin$/);
  });

  test('refuses plain http beyond this machine', () => {
    for (const setting of ['endpoint', 'sts-endpoint'])
      expect(() => open({ [setting]: 'http://example.com' }, contextFor({}, '/nonexistent'))).toThrow(
        /https/,
      );
  });
});
