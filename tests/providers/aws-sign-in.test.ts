/** Signing in to AWS as its users do: through the built program, with files and variables, against moto's STS. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type Aws, type Env, scenarioFiles, startAws } from '../backends/aws.ts';
import { describeWith } from '../backends/server.ts';
import { makePlace, type Outcome, type Place, ROOT } from '../e2e/program.ts';

const ALL = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
/** The policies that docs/aws.md recommends. */
function documented(name: string): object {
  const page = readFileSync(join(ROOT, 'docs/aws.md'), 'utf8');
  const text = new RegExp('```json policy=' + name + '\\n(.*?)```', 's').exec(page)?.[1] ?? '';
  return JSON.parse(text) as object;
}

describeWith('signing in to aws', scenarioFiles, () => {
  let aws: Aws;
  let place: Place;
  let base: Env;
  const secret = 'signed in';

  beforeAll(async () => {
    aws = await startAws();
    base = { AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: 'true', USER: 'ann' };
    const first = await makePlace();
    const made = await first.sh(`printf '${secret}' | secrets put aws://payments/db`, {
      ...base,
      ...aws.admin,
    });
    expect(made).toMatchObject({ code: 0 });
    await first.remove();
  });
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());
  afterAll(() => aws.stop());

  const write = (file: string, text: string): void => {
    const path = join(place.home, file);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
  };
  const keysOf = (env: Env): string =>
    `aws_access_key_id=${env['AWS_ACCESS_KEY_ID']}\naws_secret_access_key=${env['AWS_SECRET_ACCESS_KEY']}\n`;
  /** Stores in the user's own configuration, which is trusted. */
  const store = (settings: string): void =>
    write('.config/secrets/secrets.yaml', `stores:\n  mine: { provider: aws, ${settings} }\n`);
  const get = (reference: string, env: Env): Promise<Outcome> =>
    place.sh(`secrets get ${reference}`, { ...base, ...env });
  const identity = async (name: string, env: Env): Promise<string> => {
    const { stdout } = await place.sh(`secrets doctor --json ${name}`, { ...base, ...env });
    const sections = JSON.parse(stdout) as { findings: { check: string; detail: string }[] }[];
    return sections.at(-1)?.findings.find(({ check }) => check === 'identity')?.detail ?? stdout;
  };

  test('a profile’s keys, by AWS_PROFILE and by the store’s setting, which goes before keys in variables', async () => {
    write('.aws/credentials', `[payments]\n${keysOf(aws.admin)}`);
    write('.aws/config', '[profile payments]\nregion = eu-west-1\n');
    expect(await get('aws://payments/db', { AWS_PROFILE: 'payments' })).toEqual({
      stdout: secret,
      stderr: '',
      code: 0,
    });
    store('profile: payments');
    expect(await get('mine://payments/db', aws.nobody)).toEqual({ stdout: secret, stderr: '', code: 0 });
    expect(await identity('mine', aws.nobody)).toMatch(
      /^arn:aws:iam::\d{12}:user\/admin, from profile payments, account \d{12}, region eu-west-1$/,
    );
  });

  test('a profile that is missing is said to be, and no credential at all', async () => {
    const missing = await get('aws://payments/db', { AWS_PROFILE: 'nothere', AWS_REGION: 'eu-west-1' });
    expect(missing).toMatchObject({ code: 4, stdout: '' });
    expect(missing.stderr).toMatch(/no AWS credential \(profile \$AWS_PROFILE\)/);
    const none = await get('aws://payments/db', { AWS_REGION: 'eu-west-1' });
    expect(none).toMatchObject({ code: 4, stderr: expect.stringMatching(/no AWS credential/) });
    const region = await get('aws://payments/db', { ...aws.admin, AWS_REGION: '' });
    expect(region).toMatchObject({ code: 2, stderr: expect.stringMatching(/no AWS region/) });
  });

  test('a role of the store is assumed, with keys and with a profile, and named in a denial', async () => {
    const role = await aws.makeRole('reader', documented('reader'));
    const assumer = await aws.makeUser('assumer', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }],
    });
    store(`assume-role: "${role}", external-id: team-42`);
    expect(await get('mine://payments/db', assumer)).toMatchObject({ stdout: secret, code: 0 });
    // The session is named after the system's user, whatever $USER says.
    expect(await identity('mine', assumer)).toMatch(
      new RegExp(
        `assumed-role/reader/secrets-${userInfo().username}, from role arn:\\S+ assumed with environment variables, .*expires 20`,
      ),
    );
    const denied = await place.sh('printf x | secrets put mine://payments/db', { ...base, ...assumer });
    expect(denied).toMatchObject({ code: 4, stderr: expect.stringMatching(/role arn:\S+ assumed with env/) });
    write('.aws/credentials', `[assumer]\n${keysOf(assumer)}`);
    store(`assume-role: "${role}", profile: assumer, region: eu-west-1`);
    expect(await get('mine://payments/db', {})).toMatchObject({ stdout: secret, code: 0 });
    // A credential that may not become the role.
    expect(await get('mine://payments/db', {})).toMatchObject({ code: 0 });
    write('.aws/credentials', `[assumer]\n${keysOf(aws.nobody)}`);
    expect(await get('mine://payments/db', {})).toMatchObject({ code: 4, stdout: '' });
  });

  test('a profile with role_arn and source_profile', async () => {
    const role = await aws.makeRole('chained', ALL);
    write('.aws/credentials', `[base]\n${keysOf(aws.admin)}`);
    write(
      '.aws/config',
      `[profile chained]\nrole_arn = ${role}\nsource_profile = base\nregion = eu-west-1\n`,
    );
    const env = { AWS_PROFILE: 'chained' };
    expect(await get('aws://payments/db', env)).toMatchObject({ stdout: secret, stderr: '', code: 0 });
    expect(await identity('aws', env)).toMatch(/assumed-role\/chained\/.*from the role of profile chained/);
  });

  test('a web identity’s token file, and one that STS refuses or that is missing', async () => {
    const role = await aws.makeRole('ci', documented('reader'));
    write('token', 'head.body.signature');
    const env = {
      AWS_REGION: 'eu-west-1',
      AWS_ROLE_ARN: role,
      AWS_WEB_IDENTITY_TOKEN_FILE: join(place.home, 'token'),
    };
    expect(await get('aws://payments/db', env)).toMatchObject({ stdout: secret, stderr: '', code: 0 });
    expect(await identity('aws', env)).toMatch(
      /assumed-role\/ci\/.*from the token of AWS_WEB_IDENTITY_TOKEN_FILE/,
    );
    write('token', 'mark-of-the-token');
    const refused = await get('aws://payments/db', env);
    expect(refused).toMatchObject({ code: 4, stdout: '' });
    expect(refused.stderr).not.toContain('mark-of-the-token');
    for (const file of [join(place.home, 'missing'), place.home]) {
      const missing = await get('aws://payments/db', { ...env, AWS_WEB_IDENTITY_TOKEN_FILE: file });
      expect(missing).toMatchObject({ code: 4, stdout: '' });
    }
  });

  test('credential_process of a profile', async () => {
    const [id, key] = [aws.admin['AWS_ACCESS_KEY_ID'], aws.admin['AWS_SECRET_ACCESS_KEY']];
    const answer = JSON.stringify({ Version: 1, AccessKeyId: id, SecretAccessKey: key });
    write('.aws/config', `[profile made]\ncredential_process = echo '${answer}'\nregion = eu-west-1\n`);
    const env = { AWS_PROFILE: 'made' };
    expect(await get('aws://payments/db', env)).toMatchObject({ stdout: secret, code: 0 });
    expect(await identity('aws', env)).toMatch(/from the credential_process of profile made/);
  });

  describe('SSO', () => {
    /** The SSO portal's one operation: https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/ */
    let portal: Server;
    const asked: string[] = [];
    beforeAll(async () => {
      const role = await aws.makeRole('sso', ALL);
      process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
      const { AssumeRoleCommand, STSClient } = await import('@aws-sdk/client-sts');
      const sts = new STSClient({
        endpoint: aws.url,
        region: 'eu-west-1',
        credentials: {
          accessKeyId: aws.admin['AWS_ACCESS_KEY_ID'] ?? '',
          secretAccessKey: aws.admin['AWS_SECRET_ACCESS_KEY'] ?? '',
        },
      });
      const { Credentials: keys } = await sts.send(
        new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'ann' }),
      );
      sts.destroy();
      portal = createServer((request, response) => {
        asked.push(`${request.url} ${String(request.headers['x-amz-sso_bearer_token'])}`);
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            roleCredentials: {
              accessKeyId: keys?.AccessKeyId,
              secretAccessKey: keys?.SecretAccessKey,
              sessionToken: keys?.SessionToken,
              expiration: Date.now() + 3_600_000,
            },
          }),
        );
      });
      await new Promise<void>((resolve) => portal.listen(0, '127.0.0.1', resolve));
    });
    afterAll(() => new Promise((resolve) => portal.close(resolve)));

    const START = 'https://example.awsapps.com/start';
    const signedIn = (until: number): void =>
      write(
        `.aws/sso/cache/${createHash('sha1').update(START).digest('hex')}.json`,
        JSON.stringify({
          startUrl: START,
          region: 'eu-west-1',
          accessToken: 'mark-of-sso',
          expiresAt: new Date(until).toISOString(),
        }),
      );

    test('uses what `aws sso login` has left, and says to sign in again when that has expired', async () => {
      write(
        '.aws/config',
        `[profile sso]\nsso_start_url = ${START}\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = dev\nregion = eu-west-1\n`,
      );
      const { port } = portal.address() as AddressInfo;
      const env = { AWS_PROFILE: 'sso', AWS_ENDPOINT_URL_SSO: `http://127.0.0.1:${port}` };
      signedIn(Date.now() + 3_600_000);
      expect(await get('aws://payments/db', env)).toMatchObject({ stdout: secret, stderr: '', code: 0 });
      expect(asked[0]).toMatch(/role_name=dev.* mark-of-sso$/);
      expect(await identity('aws', env)).toMatch(
        /assumed-role\/sso\/ann, from the SSO sign-in of profile sso/,
      );
      signedIn(Date.now() - 1000);
      const expired = await get('aws://payments/db', env);
      expect(expired).toMatchObject({ code: 4, stderr: expect.stringMatching(/expired.*aws sso login/s) });
      expect(expired.stderr).not.toContain('mark-of-sso');
    });
  });

  test('a region of the store, and an ARN of another region', async () => {
    const far = { ...aws.admin, AWS_REGION: 'us-east-1' };
    expect(await place.sh('printf far | secrets put aws://payments/far', { ...base, ...far })).toMatchObject({
      code: 0,
    });
    expect(await get('aws://payments/far', aws.admin)).toMatchObject({ code: 3 });
    store('region: us-east-1');
    expect(await get('mine://payments/far', aws.admin)).toMatchObject({ stdout: 'far', code: 0 });
    const arn = 'arn:aws:secretsmanager:us-east-1:123456789012:secret:payments/far';
    expect(await get(arn, aws.admin)).toMatchObject({ stdout: 'far', code: 0 });
    const both = await place.sh(`secrets get --json aws://payments/db ${arn}`, { ...base, ...aws.admin });
    expect(both.stdout).toMatch(/signed in[^]*far/);
  });

  test('the documented policies allow what they say, and no more', async () => {
    const reader = await aws.makeUser('reader', documented('reader'));
    expect(await get('aws://payments/db', reader)).toMatchObject({ stdout: secret, code: 0 });
    expect(await get('aws://other/db', reader)).toMatchObject({ code: 4 });
    const several = await place.sh('secrets get --json aws://payments/db aws://payments/none', {
      ...base,
      ...reader,
    });
    expect(several).toMatchObject({ code: 3, stderr: expect.stringMatching(/payments\/none/) });
    expect(await place.sh('printf x | secrets put aws://payments/db', { ...base, ...reader })).toMatchObject({
      code: 4,
    });
    const doctor = await place.sh('secrets doctor aws', { ...base, ...reader });
    expect(doctor).toMatchObject({ code: 0, stdout: expect.stringMatching(/user\/reader/) });

    const writer = await aws.makeUser('writer', documented('writer'));
    const sh = (script: string): Promise<Outcome> => place.sh(script, { ...base, ...writer });
    const first = (await sh('secrets history --json aws://payments/db')).stdout;
    const { versions } = JSON.parse(first) as { versions: { version: string }[] };
    const script = `printf next | secrets put --if-version ${versions[0]?.version} aws://payments/db`;
    expect(await sh(script)).toMatchObject({ code: 0 });
    expect(await sh(script)).toMatchObject({ code: 5 });
    expect(await sh(`secrets restore --version ${versions[0]?.version} aws://payments/db`)).toMatchObject({
      code: 0,
    });
    expect(await get('aws://payments/db', writer)).toMatchObject({ stdout: secret });
    expect(await sh('printf x | secrets put aws://payments/new')).toMatchObject({ code: 4 });
    expect(await sh('secrets delete aws://payments/db')).toMatchObject({ code: 4 });
  });
});
