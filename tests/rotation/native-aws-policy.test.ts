/** What a policy may say of rotation by AWS, who is asked for trust and rights, and answers that get lost. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { open } from '../../src/providers/aws/index.ts';
import { scenarioFiles } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { startFaultProxy } from '../contract/fault-proxy.ts';
import { contextFor } from '../contract/kit.ts';
import { ROOT } from '../e2e/program.ts';
import { FAILS, ROTATES, SILENT, useAws } from './native-aws-kit.ts';

describeWith('policies of rotation by aws', scenarioFiles, () => {
  const runs = useAws();
  const { policies, sh, ok } = runs;

  test('a start whose answer is lost, once or always, is one rotation', async () => {
    const proxy = await startFaultProxy({ url: runs.aws.url });
    const provider = open({}, contextFor({ ...runs.aws.admin, AWS_ENDPOINT_URL: proxy.url }, '/nonexistent'));
    const call = { signal: AbortSignal.timeout(120_000) };
    try {
      const rotations = await provider.nativeRotation();
      for (const times of [1, 4]) {
        const name = `lost-${times}`;
        await provider.put(name, { value: Buffer.from('v') }, call);
        const token = randomUUID();
        // After the look at what is set.
        proxy.fault('lost', { skip: 1, times });
        const wish = { settings: { function: SILENT }, everyMs: undefined };
        expect(await rotations.start?.(name, wish, token, call)).toMatchObject({ version: token });
        proxy.heal();
        expect(await rotations.read(name, call)).toMatchObject({ attempt: { version: token } });
        const { VersionIdsToStages: stages = {} } = await runs.client.send(
          new runs.sdk.DescribeSecretCommand({ SecretId: name }),
        );
        expect(Object.keys(stages)).toHaveLength(2);
      }
    } finally {
      await provider.close();
      await proxy.stop();
    }
  });

  test('the policy of docs/aws.md is enough to configure, rotate, watch and cancel', async () => {
    const page = readFileSync(join(ROOT, 'docs/aws.md'), 'utf8');
    const policy = /```json policy=rotator\n([^]*?)```/.exec(page)?.[1] ?? '';
    await ok('printf v | secrets put --quiet aws://payments/db');
    runs.env = await runs.aws.makeUser('rotator', JSON.parse(policy) as object);
    policies({ 'aws://payments/db': { every: '30d', native: { function: FAILS } } });
    expect(await sh('secrets rotate aws://payments/db')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/refuses the new password/),
    });
    await ok('secrets rotate cancel aws://payments/db');
  });

  test('a found file’s function and schedule are shown before the file is trusted', async () => {
    const store = { team: { provider: 'aws' } };
    const native = { function: ROTATES, schedule: 'rate(7 days)' };
    policies(
      { 'team://db': { native } },
      { stores: store, profiles: { ci: { rotation: { 'aws://x': { native } } } } },
    );
    const { stdout } = await sh('command secrets trust --dry-run');
    expect(stdout).toContain(`rotation.team://db.native.function`);
    expect(stdout).toContain(ROTATES);
    expect(stdout).toMatch(/AWS gives this function the secret/);
    expect(stdout).toContain(`profiles.ci.rotation.aws://x.native.schedule`);
    expect(await sh('command secrets rotate team://db')).toMatchObject({
      code: 8,
      stderr: expect.stringMatching(/native\.function: AWS gives this function the secret/),
    });
    // Without trust status asks the store, and no function.
    expect(await sh('command secrets rotate status --json')).toMatchObject({ code: 0 });
  });

  test('mistakes in native are named with their line, before any call', async () => {
    const broken = async (policy: object): Promise<string> => {
      policies({ 'aws://x': policy });
      const { code, stderr } = await sh('secrets rotate aws://x');
      expect(code).toBe(2);
      return stderr;
    };
    expect(await broken({ native: { functon: ROTATES } })).toMatch(
      /secrets\.yaml:1: unknown key .*functon.*did you mean function/,
    );
    expect(await broken({ native: { function: 'rotates' } })).toMatch(
      /native\.function must be the ARN of a Lambda function/,
    );
    expect(await broken({ native: { schedule: 'rate(1 hour)' } })).toMatch(/schedule/);
    expect(await broken({ every: '1h', native: { function: ROTATES } })).toMatch(/every 4 hours to 999 days/);
    expect(await broken({ every: '1d', native: { schedule: 'rate(1 day)' } })).toMatch(
      /both every and native\.schedule/,
    );
    expect(await broken({ generate: 'hex:8', native: { function: ROTATES } })).toMatch(
      /mean nothing beside native/,
    );
    policies({ 'aws://x': { every: '1d' } });
    expect(await sh('secrets rotate aws://x --configure')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/has no native settings/),
    });
    expect(await sh('secrets rotate --due --configure')).toMatchObject({ code: 2 });
    policies({ 'local://x': { native: { function: ROTATES } } });
    expect((await sh('secrets rotate local://x')).stderr).toMatch(
      /is in a store of local, which has no rotation of its own/,
    );
  });
});
