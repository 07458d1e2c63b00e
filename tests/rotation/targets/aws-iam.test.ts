import { IAMClient, CreateAccessKeyCommand, ListAccessKeysCommand } from '@aws-sdk/client-iam';
import { awsIam } from '../../../src/rotation/targets/aws-iam/descriptor.ts';
import { type Aws, type Env, scenarioFiles, startAws } from '../../backends/aws.ts';
import { describeWith } from '../../backends/server.ts';
import { credential, known, never, openTarget, rotation, timeIsUp } from './kit.ts';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startSilent } from './silent.ts';
import { startWire } from './wire.ts';

/** The policy of docs/rotation-targets.md; moto knows the resource `*` alone. */
const OWN = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: [
        'iam:ListAccessKeys',
        'iam:CreateAccessKey',
        'iam:UpdateAccessKey',
        'iam:DeleteAccessKey',
        'iam:GetAccessKeyLastUsed',
        'iam:ListUserTags',
        'iam:TagUser',
      ],
      Resource: '*',
    },
  ],
};

describeWith('AWS IAM access keys', scenarioFiles, () => {
  let aws: Aws;
  let admin: IAMClient;
  let users = 0;
  const keyOf = (env: Env) =>
    credential({
      AWS_ACCESS_KEY_ID: env['AWS_ACCESS_KEY_ID'] ?? '',
      AWS_SECRET_ACCESS_KEY: env['AWS_SECRET_ACCESS_KEY'] ?? '',
      team: 'shop',
    });
  const idOf = (one: ReturnType<typeof credential>): string => String(one.fields?.['AWS_ACCESS_KEY_ID']);
  const newUser = async (policy: object = OWN) => {
    users += 1;
    const user = `app-${users}`;
    return { user, current: keyOf(await aws.makeUser(user, policy)) };
  };
  const keys = async (user: string): Promise<Record<string, string | undefined>> => {
    const { AccessKeyMetadata = [] } = await admin.send(new ListAccessKeysCommand({ UserName: user }));
    return Object.fromEntries(AccessKeyMetadata.map(({ AccessKeyId, Status }) => [AccessKeyId, Status]));
  };
  const openIam = async (settings: object = {}, secrets = {}) =>
    openTarget(awsIam, { endpoint: aws.url, ...settings }, secrets);

  beforeAll(async () => {
    aws = await startAws();
    const { AWS_ACCESS_KEY_ID: accessKeyId = '', AWS_SECRET_ACCESS_KEY: secretAccessKey = '' } = aws.admin;
    admin = new IAMClient({
      endpoint: aws.url,
      region: 'eu-west-1',
      credentials: { accessKeyId, secretAccessKey },
    });
  });
  afterAll(async () => {
    admin?.destroy();
    await aws?.stop();
  });

  test('the user makes a second key; the old one is switched off, and deleted after the grace time', async () => {
    const { user, current } = await newUser();
    const { target, lines } = await openIam({ deactivate: true });
    expect(await target.check(known(current), never)).toEqual([
      { check: 'sign-in to AWS', status: 'ok', detail: `for the user ${user}` },
      { check: 'room for a second key', status: 'ok', detail: '1 of 2' },
      { check: 'right to read the user’s tags', status: 'ok', detail: 'iam:ListUserTags' },
    ]);
    const now = rotation();
    const pending = (await target.issue?.(known(current, current), now, never)) ?? current;
    expect(pending.fields).toEqual({
      AWS_ACCESS_KEY_ID: expect.stringMatching(/^AKIA/),
      AWS_SECRET_ACCESS_KEY: expect.stringMatching(/^.{40}$/),
      team: 'shop',
    });
    await target.apply(pending, known(current, pending), now, never);
    expect(await target.verify(pending, never)).toBe('accepted');
    expect(await keys(user)).toEqual({ [idOf(current)]: 'Active', [idOf(pending)]: 'Active' });
    for (let round = 0; round < 2; round += 1) await target.retire?.(current, pending, 'superseded', never);
    expect(await keys(user)).toEqual({ [idOf(current)]: 'Inactive', [idOf(pending)]: 'Active' });
    // While the grace time lasts there is a way back.
    await target.apply(current, known(current, pending), now, never);
    expect((await keys(user))[idOf(current)]).toBe('Active');
    for (let round = 0; round < 2; round += 1) await target.retire?.(current, pending, 'expired', never);
    expect(await keys(user)).toEqual({ [idOf(pending)]: 'Active' });
    expect(await target.verify(current, never)).toBe('refused');
    await expect(target.apply(current, known(pending), now, never)).rejects.toMatchObject({
      kind: 'NotFound',
    });
    expect(lines.join()).not.toContain(String(pending.fields?.['AWS_SECRET_ACCESS_KEY']));
  });

  test('without deactivate the old key works through its grace time; the key in use is never retired', async () => {
    const { user, current } = await newUser();
    const { target } = await openIam();
    const pending = (await target.issue?.(known(current, current), rotation(), never)) ?? current;
    await target.retire?.(current, pending, 'superseded', never);
    await target.retire?.(pending, pending, 'expired', never);
    expect(await keys(user)).toEqual({ [idOf(current)]: 'Active', [idOf(pending)]: 'Active' });
  });

  test('a key that a lost run made is recognised and removed: by the next try, and when the rotation is given up', async () => {
    const { user, current } = await newUser();
    const { target } = await openIam();
    const now = rotation();
    // The process died with the answer.
    const lost = (await target.issue?.(known(current, current), now, never)) ?? current;
    const again = (await target.issue?.(known(current, current), now, never)) ?? current;
    expect(await keys(user)).toEqual({ [idOf(current)]: 'Active', [idOf(again)]: 'Active' });
    expect(idOf(again)).not.toBe(idOf(lost));
    await target.abandon?.(known(current, current), now, never);
    await target.abandon?.(known(current, current), now, never);
    expect(await keys(user)).toEqual({ [idOf(current)]: 'Active' });
  });

  test('a key whose answer was lost on the way is made once, said to be in doubt, and removed by the next try', async () => {
    const { user, current } = await newUser();
    const wire = await startWire(aws.port);
    try {
      const { target } = await openIam({ endpoint: `http://127.0.0.1:${wire.port}` });
      const now = rotation();
      wire.loseAnswerTo('Action=CreateAccessKey');
      await expect(target.issue?.(known(current, current), now, never)).rejects.toMatchObject({
        kind: 'Unavailable',
        message: expect.stringMatching(/may have been made$/),
      });
      const [, orphan, ...more] = Object.keys(await keys(user));
      expect([orphan, more]).toEqual([expect.stringMatching(/^AKIA/), []]);
      const pending = (await target.issue?.(known(current, current), now, never)) ?? current;
      expect(await keys(user)).toEqual({ [idOf(current)]: 'Active', [idOf(pending)]: 'Active' });
      expect(idOf(pending)).not.toBe(orphan);
    } finally {
      await wire.stop();
    }
  });

  test('keys that others made are left alone, and named', async () => {
    const { user, current } = await newUser();
    const { target } = await openIam();
    const { AccessKey } = await admin.send(new CreateAccessKeyCommand({ UserName: user }));
    const other = AccessKey?.AccessKeyId ?? '';
    const now = rotation();
    await expect(target.issue?.(known(current, current), now, never)).rejects.toMatchObject({
      kind: 'Conflict',
      message: `the user ${user} has an access key that is not in the secret: ${other} (active)`,
    });
    await target.abandon?.(known(current, current), now, never);
    expect(await keys(user)).toEqual({ [idOf(current)]: 'Active', [other]: 'Active' });
    expect(await target.check(known(current), never)).toContainEqual(
      expect.objectContaining({ check: 'room for a second key', status: 'fail' }),
    );
    // With the second key in the secret's older version, it is only too early.
    const previous = credential({ ...current.fields, AWS_ACCESS_KEY_ID: other });
    await expect(target.issue?.(known(current, current, previous), now, never)).rejects.toMatchObject({
      kind: 'Conflict',
      hint: expect.stringContaining('grace time'),
    });
    // A rotation deletes it first, when nothing else is in its way.
    expect(await target.check(known(current, undefined, previous), never)).toContainEqual(
      expect.objectContaining({ check: 'room for a second key', status: 'warn' }),
    );
  });

  test('an administrator does it for a user without rights, and for one whose key is lost', async () => {
    const { user, current } = await newUser({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
    });
    const secrets = { 'ops://aws': keyOf(aws.admin) };
    const own = (await openIam()).target;
    await expect(own.issue?.(known(current, current), rotation(), never)).rejects.toMatchObject({
      kind: 'Denied',
      message: expect.stringMatching(/^not allowed: iam:/),
    });
    await expect(openIam({ admin: 'ops://aws' }, secrets)).rejects.toMatchObject({ kind: 'Usage' });
    const { target } = await openIam({ admin: 'ops://aws', user }, secrets);
    const pending = (await target.issue?.(known(current, current), rotation(), never)) ?? current;
    expect(Object.keys(await keys(user))).toEqual([idOf(current), idOf(pending)]);
    await target.retire?.(current, pending, 'expired', never);
    const named = (await openIam({ admin: 'ops://aws', user }, secrets)).target;
    const first = (await named.issue?.(known(), rotation(), never)) ?? current;
    expect(await named.verify(first, never)).toBe('accepted');
  });

  test('a key of another user, or one that is wrong already, is refused before anything is made', async () => {
    const [one, other] = [await newUser(), await newUser()];
    const { target } = await openIam({ user: one.user });
    const strange = { kind: 'Conflict', message: expect.stringContaining(`not for the user ${one.user}`) };
    expect(await target.check(known(other.current), never)).toEqual([
      expect.objectContaining({ status: 'fail', kind: 'Conflict', detail: strange.message }),
    ]);
    await expect(target.issue?.(known(other.current), rotation(), never)).rejects.toMatchObject(strange);
    await expect(target.verify(other.current, never)).rejects.toMatchObject(strange);
    await expect(target.apply(other.current, known(one.current), rotation(), never)).rejects.toMatchObject({
      kind: 'Conflict',
      message: expect.stringContaining('does not belong to the user'),
    });
    expect(Object.keys(await keys(other.user))).toHaveLength(1);

    const wrong = credential({ ...one.current.fields, AWS_SECRET_ACCESS_KEY: 'x'.repeat(40) });
    expect((await target.check(known(wrong), never)).at(-1)).toMatchObject({
      status: 'fail',
      kind: 'Unauthenticated',
    });
    // One of the older version that works does not make the current one good.
    expect(await target.check(known(wrong, undefined, one.current), never)).toContainEqual(
      expect.objectContaining({ check: 'sign-in with the current credential', status: 'fail' }),
    );
  });

  test('a service that takes any secret proves nothing', async () => {
    const lax = createServer((_request, response) => {
      response.setHeader('content-type', 'text/xml');
      response.end(
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>' +
          '<Arn>arn:aws:iam::123456789012:user/app</Arn><UserId>A</UserId><Account>123456789012</Account>' +
          '</GetCallerIdentityResult></GetCallerIdentityResponse>',
      );
    });
    await new Promise<void>((resolve) => lax.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = lax.address() as AddressInfo;
      const { target } = await openIam({ endpoint: `http://127.0.0.1:${port}` });
      const { current } = await newUser();
      expect(await target.check(known(current), never)).toEqual([
        expect.objectContaining({ status: 'fail', detail: expect.stringContaining('proves nothing') }),
      ]);
    } finally {
      lax.close();
    }
  });

  test('what is no key, a silent service and plain http are refused', async () => {
    const { target } = await openIam();
    await expect(target.verify(credential({ user: 'a' }), never)).rejects.toMatchObject({ kind: 'Invalid' });
    const far = (await openTarget(awsIam, { endpoint: 'http://iam.example.com' })).target;
    const { current } = await newUser();
    await expect(far.verify(current, never)).rejects.toMatchObject({ kind: 'Usage' });
    const silent = await startSilent();
    try {
      const slow = (await openTarget(awsIam, { endpoint: `http://127.0.0.1:${silent.port}` })).target;
      const deadline = timeIsUp();
      const call = slow.verify(current, deadline.signal);
      call.catch(() => {});
      await silent.heard;
      deadline.now();
      await expect(call).rejects.toMatchObject({
        kind: 'Unavailable',
        message: 'AWS did not answer in time',
      });
      await silent.untilClosed();
    } finally {
      await silent.stop();
    }
  });
});
