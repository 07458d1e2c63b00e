/** Rotations that AWS makes: a Lambda function's four steps, driven and watched by the program as it is installed. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scenarioFiles } from '../backends/aws.ts';
import { functionArn } from '../backends/functions.ts';
import { describeWith } from '../backends/server.ts';
import { until } from '../exec/setup.ts';
import { FAILS, OTHER, ROTATES, SILENT, SLOW, useAws } from './native-aws-kit.ts';

describeWith('rotation by aws', scenarioFiles, () => {
  const runs = useAws();
  const { policies, sh, ok, json, state, rowOf } = runs;

  test('sets the function and the schedule, has it rotated, and waits until the new version is current', async () => {
    policies({ 'aws://db': { every: '30d', native: { function: ROTATES, duration: '3h' } } });
    await ok('printf first | secrets put --quiet aws://db');
    expect(await rowOf('aws://db')).toMatchObject({ state: 'never', by: 'secrets' });

    const done = await json('secrets rotate aws://db --json');
    expect(done).toMatchObject({
      code: 0,
      reference: 'aws://db',
      outcome: 'done',
      native: {
        by: 'aws lambda rotates',
        changes: [
          { setting: 'function', to: ROTATES },
          { setting: 'duration', to: '3h' },
          { setting: 'schedule', to: 'rate(30 days)' },
        ],
      },
    });
    expect(runs.aws.functions.calls.map(({ Step }) => Step)).toEqual([
      'createSecret',
      'setSecret',
      'testSecret',
      'finishSecret',
    ]);
    expect(await ok('secrets get aws://db')).toMatch(/^[0-9a-f]{16}$/);
    expect(await ok('secrets get "aws://db?stage=previous"')).toBe('first');
    expect(await state('db')).toMatchObject({
      RotationEnabled: true,
      RotationRules: { ScheduleExpression: 'rate(30 days)', Duration: '3h' },
      VersionIdsToStages: { [String(done['version'])]: expect.arrayContaining(['AWSCURRENT']) },
    });
    expect(await rowOf('aws://db')).toMatchObject({
      state: 'ok',
      by: 'aws lambda rotates',
      everySeconds: 30 * 86_400,
      lastRotated: expect.any(String),
      next: expect.any(String),
      native: { role: 'rotates', enabled: true, settings: { function: ROTATES, duration: '3h' } },
    });

    // Once more: nothing is to be set anew, and nothing is due.
    expect(await json('secrets rotate aws://db --json')).toMatchObject({
      outcome: 'done',
      native: { changes: [] },
    });
    runs.aws.functions.calls.length = 0;
    expect(await ok('secrets rotate --due --json')).toBe('');
    expect(runs.aws.functions.calls).toEqual([]);
  });

  test('what the policy has in other words is not set anew; another function is', async () => {
    policies({ 'aws://same': { native: { function: ROTATES, schedule: 'rate(2 days)' } } });
    await ok('printf v | secrets put --quiet aws://same; secrets rotate aws://same');
    policies({ 'aws://same': { every: '48h', native: { function: ROTATES } } });
    expect(await json('secrets rotate aws://same --dry-run --json')).toEqual({
      code: 0,
      reference: 'aws://same',
      native: { by: 'aws lambda rotates', changes: [] },
      rotates: true,
      findings: [],
      dryRun: true,
    });
    policies({ 'aws://same': { every: '48h', native: { function: OTHER } } });
    const before = await ok('secrets get aws://same');
    expect(await json('secrets rotate aws://same --configure --json')).toMatchObject({
      outcome: 'configured',
      native: { by: 'aws lambda other', changes: [{ setting: 'function', from: ROTATES, to: OTHER }] },
    });
    expect(await ok('secrets get aws://same')).toBe(before);
    // All policies with native, and no others.
    policies({ 'aws://none': { every: '1d' }, 'aws://same': { every: '48h', native: { function: OTHER } } });
    expect(await json('secrets rotate --configure --json')).toMatchObject({ outcome: 'nothing' });
  });

  test('--dry-run changes nothing at the service', async () => {
    policies({ 'aws://dry': { every: '30d', native: { function: ROTATES } } });
    await ok('printf v | secrets put --quiet aws://dry');
    const before = await state('dry');
    expect(await ok('secrets rotate aws://dry --dry-run')).toBe(
      `aws://dry: would set function ${ROTATES}, schedule rate(30 days), and have its service rotate it\n`,
    );
    expect(await ok('secrets rotate aws://dry --configure --dry-run')).toMatch(
      /would set function [^ ]+, schedule rate\(30 days\)\n$/,
    );
    await ok('secrets rotate --due --dry-run');
    expect(await ok('secrets rotate cancel aws://dry --dry-run')).toMatch(/would do nothing/);
    expect(await state('dry')).toEqual(before);
    expect(runs.aws.functions.calls).toEqual([]);
  });

  test('a function that fails is reported in AWS’s words, and stands in the status', async () => {
    policies({ 'aws://fails': { every: '30d', native: { function: FAILS } } });
    await ok('printf first | secrets put --quiet aws://fails');
    expect(await sh('secrets rotate aws://fails')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        /AWS reports a failure: Rotation failed in step setSecret: the database refuses the new password/,
      ),
    });
    expect(await ok('secrets get aws://fails')).toBe('first');
    expect(await rowOf('aws://fails')).toMatchObject({
      state: 'stuck',
      by: 'aws lambda fails',
      native: { failed: expect.stringMatching(/refuses the new password/), since: expect.any(String) },
    });
    // Neither another one of AWS's nor one of ours can begin, and both say why.
    const again = await sh('secrets rotate aws://fails');
    expect(again).toMatchObject({ code: 5 });
    expect(again.stderr).toMatch(
      /is not complete, version \S+ is pending: since \d{4}-.*refuses the new password/,
    );
    expect(await sh('secrets rotate --due')).toMatchObject({ code: 5 });
    expect(await sh('secrets rotate rollback aws://fails')).toMatchObject({ code: 2 });
  });

  test('without the right to ask CloudTrail a failure is a rotation that does not end', async () => {
    runs.env = await runs.aws.makeUser('no-trail', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'secretsmanager:*', Resource: '*' }],
    });
    policies({ 'aws://quiet': { every: '30d', native: { function: FAILS } } });
    await ok('printf v | secrets put --quiet aws://quiet');
    expect(await sh('secrets rotate aws://quiet --wait 3s')).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/begun, and not done after 3 s: aws lambda fails is at it/),
    });
    expect(await rowOf('aws://quiet')).toMatchObject({ state: 'rotating' });
  });

  test('a wait that is over says how to go on, and resume does', async () => {
    policies({ 'aws://slow': { every: '30d', native: { function: SLOW } } });
    await ok('printf first | secrets put --quiet aws://slow');
    const over = await sh('secrets rotate aws://slow --wait 1s');
    expect(over).toMatchObject({ code: 6, stdout: '' });
    expect(over.stderr).toMatch(
      /begun, and not done after 1 s: aws lambda slow is at it.*wait for it again with secrets rotate resume aws:\/\/slow;/,
    );
    expect(await rowOf('aws://slow')).toMatchObject({
      state: 'rotating',
      native: { pending: expect.any(String) },
    });
    expect(await sh('secrets rotate aws://slow')).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/a rotation by AWS is not complete, version \S+ is pending: since /),
    });
    const said = join(runs.place.root, 'said-slow');
    const waiting = json(`secrets rotate resume aws://slow --json --debug 2> '${said}'`);
    await until(
      () => existsSync(said) && /aws:\/\/slow: \w/.test(readFileSync(said, 'utf8')),
      () => 'its first look at the rotation',
    );
    runs.release();
    expect(await waiting).toMatchObject({ outcome: 'done', code: 0 });
    expect(await json('secrets rotate resume aws://slow --json')).toMatchObject({ outcome: 'nothing' });
    expect(await ok('secrets get aws://slow')).not.toBe('first');
  });

  test('--wait 0 begins it and does not wait', async () => {
    policies({ 'aws://later': { every: '30d', native: { function: SILENT } } });
    await ok('printf v | secrets put --quiet aws://later');
    expect(await json('secrets rotate aws://later --wait 0 --json')).toMatchObject({
      outcome: 'started',
      code: 0,
    });
  });

  test('a signal ends the wait, and not the rotation', async () => {
    policies({ 'aws://stopped': { every: '30d', native: { function: SILENT } } });
    await ok('printf v | secrets put --quiet aws://stopped');
    // Once it has looked at it for the first time.
    const looked = 'until grep -q "aws://stopped: [^s]" said; do sleep 0.05; done';
    expect(
      await sh(
        `command secrets rotate aws://stopped --trust --debug 2>said & ${looked}; kill -TERM $!; wait $!; code=$?; cat said >&2; exit $code`,
      ),
    ).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/begun, and not waited for any longer/),
    });
    expect(await rowOf('aws://stopped')).toMatchObject({ state: 'rotating' });
  });

  test('a value that somebody puts meanwhile ends it, which is said', async () => {
    policies({ 'aws://abandoned': { every: '30d', native: { function: SILENT } } });
    await ok('printf v | secrets put --quiet aws://abandoned; secrets rotate aws://abandoned --wait 0');
    const { VersionIdsToStages: stages = {} } = await runs.client.send(
      new runs.sdk.DescribeSecretCommand({ SecretId: 'abandoned' }),
    );
    const pending = Object.keys(stages).find((id) => stages[id]?.includes('AWSPENDING')) ?? '';
    const said = join(runs.place.root, 'said');
    const waiting = sh(`secrets rotate resume aws://abandoned --debug 2> >(tee '${said}' >&2)`);
    await until(
      () => existsSync(said) && /aws:\/\/abandoned: \w/.test(readFileSync(said, 'utf8')),
      () => 'its first look at the rotation',
    );
    await runs.client.send(
      new runs.sdk.UpdateSecretVersionStageCommand({
        SecretId: 'abandoned',
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: pending,
      }),
    );
    expect(await waiting).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/somebody has taken AWSPENDING away/),
    });
  });

  test('rights that are missing are named: to rotate, and of AWS to call the function', async () => {
    policies({ 'aws://denied': { every: '30d', native: { function: functionArn('nowhere') } } });
    await ok('printf v | secrets put --quiet aws://denied');
    expect(await sh('secrets rotate aws://denied')).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/cannot invoke the specified Lambda function.*lambda:InvokeFunction/),
    });
    const before = await state('denied');
    runs.env = await runs.aws.makeUser('reader', {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: ['secretsmanager:DescribeSecret', 'secretsmanager:GetSecretValue'],
          Resource: '*',
        },
      ],
    });
    expect(await sh('secrets rotate aws://denied')).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/secretsmanager:RotateSecret/),
    });
    expect(await state('denied')).toEqual(before);
  });

  test('what AWS rotates is not rotated by us, by no way', async () => {
    policies({ 'aws://theirs': { every: '30d', native: { function: ROTATES } } });
    await ok('printf v | secrets put --quiet aws://theirs; secrets rotate aws://theirs');
    policies({ 'aws://theirs': { every: '1d', generate: 'hex:12' } });
    const before = await state('theirs');
    const due = await sh('secrets rotate --max-age 1s');
    expect(due).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/is rotated by aws lambda rotates, so it is left alone/),
    });
    for (const command of ['rotate aws://theirs', 'rotate --generate hex:8 aws://theirs'])
      expect(await sh(`secrets ${command}`)).toMatchObject({
        code: 5,
        stderr: expect.stringMatching(
          /is rotated by aws lambda rotates.*secrets rotate cancel aws:\/\/theirs/,
        ),
      });
    expect(await state('theirs')).toEqual(before);
    // Its own word for it ends that.
    expect(await json('secrets rotate cancel aws://theirs --json')).toEqual({
      code: 0,
      reference: 'aws://theirs',
      outcome: 'cancelled',
      by: 'aws lambda rotates',
    });
    await ok('secrets rotate aws://theirs');
    expect(await ok('secrets get aws://theirs')).toMatch(/^[0-9a-f]{24}$/);
    // And the policy with native switches it on again.
    policies({ 'aws://theirs': { every: '30d', native: { function: ROTATES } } });
    expect(await rowOf('aws://theirs')).toMatchObject({ state: 'never' });
    expect(await json('secrets rotate --due --json')).toMatchObject({
      outcome: 'done',
      native: { changes: [{ setting: 'schedule', to: 'rate(30 days)' }] },
    });
  });

  test('status knows what AWS rotates without a policy, from the list alone; --due begins what AWS has missed', async () => {
    policies({ 'aws://missed': { every: '30d', native: { function: ROTATES } } });
    await ok('printf v | secrets put --quiet aws://missed; secrets rotate aws://missed');
    const label = `test-next-rotation=${Math.floor(Date.now() / 1000) - 3600}`;
    await ok(`printf w | secrets put --quiet aws://missed --label ${label}`);
    policies({}, { default: 'aws' });
    expect(await rowOf('aws://missed')).toMatchObject({
      state: 'overdue',
      by: 'aws lambda rotates',
      native: { settings: { schedule: 'rate(30 days)' } },
    });
    const table = await ok('secrets rotate status');
    expect(table).toMatch(
      /^aws:\/\/missed\toverdue\t\dm\t30d\t\S+ \S+\taws lambda rotates\t\tsecrets rotate aws:\/\/missed$/m,
    );
    policies({ 'aws://missed': { every: '30d', native: { function: ROTATES } } });
    runs.aws.functions.calls.length = 0;
    expect(await json('secrets rotate --due --json')).toMatchObject({
      reference: 'aws://missed',
      outcome: 'done',
    });
    expect(runs.aws.functions.calls).toHaveLength(4);
  });
});
