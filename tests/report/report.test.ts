/** The whole command on real stores, with something wrong in each. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAuditLog } from '../../src/audit/log/log.ts';
import type { ReportData } from '../../src/core/findings/report.ts';
import type { AuditEvent } from '../../src/core/audit/record.ts';
import { scenarioFiles as awsFiles, startAws, type Aws } from '../backends/aws.ts';
import { startTrail } from '../backends/aws/trail.ts';
import { describeWith } from '../backends/server.ts';
import { startVault, VAULT_SERVER, type Vault } from '../backends/vault.ts';
import { makePlace, type Place, UNSAFE } from '../e2e/program.ts';

const DAY_MS = 86_400_000;
const STRONG = 'kX9#mQ2vLp7$wRtZ';

async function reportOf(
  place: Place,
  line: string,
  env: Readonly<Record<string, string>> = {},
  exit = 0,
): Promise<ReportData> {
  const { stdout, stderr, code } = await place.sh(`secrets audit report --json ${line}`, env);
  expect({ code, stderr: exit === 0 ? stderr : '' }).toEqual({ code: exit, stderr: '' });
  return JSON.parse(stdout) as ReportData;
}

function found({ findings }: ReportData): readonly string[] {
  return findings.map(({ rule, secret = '', severity }) => `${severity} ${rule} ${secret}`.trim());
}

/** Begins the log anew, where the program looks for it, with these events. */
async function writeLog(place: Place, events: readonly AuditEvent[]): Promise<void> {
  const stateFolder = join(place.home, '.local/state/secrets');
  await rm(join(stateFolder, 'audit'), { recursive: true, force: true });
  const path = join(stateFolder, 'audit/audit.jsonl');
  await openAuditLog({ path, stateFolder, mode: 'best-effort', now: () => new Date() }).append(events);
}

function read(secret: string, daysAgo: number, more: Partial<AuditEvent> = {}): AuditEvent {
  return {
    time: new Date(Date.now() - daysAgo * DAY_MS).toISOString(),
    origin: 'secrets',
    action: 'read',
    outcome: 'allowed',
    actor: { user: 'ann' },
    store: 'local',
    secret,
    command: 'get',
    host: 'laptop',
    ...more,
  };
}

describe('on the local store', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());

  test('dates, versions and values', async () => {
    await place.sh(`
      printf '${STRONG}' | secrets put --quiet late --label rotate-every=1s --expires 1s
      printf '${STRONG}' | secrets put --quiet soon --expires 10d
      for n in 1 2 3 4; do printf '%s-${STRONG}' "$n" | secrets put --quiet many; done
      printf admin | secrets put --quiet weak
      mkdir -p ~/.config/secrets
      echo 'audit: { report: { max-versions: 3 } }' > ~/.config/secrets/secrets.yaml
      sleep 2`);
    expect(found(await reportOf(place, '--values'))).toEqual([
      'critical default-value weak',
      'high expired late',
      'high overdue late',
      'medium same-value late',
      'medium expiring soon',
      'low too-many-versions many',
    ]);
  });

  test('takes a period as log and trail do', async () => {
    const none = found(await reportOf(place, '--since 2026-11-20T08:00:00+02:00'));
    expect(none).toEqual([]);
    const { code, stderr } = await place.sh('secrets audit report --since 2026-11-20T08:00');
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining('--since "2026-11-20T08:00" is not a valid time'),
    ]);
  });

  test('a found file hides nothing and moves no limit until it is trusted', async () => {
    await place.sh(`
      printf '${STRONG}' | secrets put --quiet trap --label honey=yes
      printf admin | secrets put --quiet weak
      for n in 1 2 3 4; do printf '%s-${STRONG}' "$n" | secrets put --quiet many; done
      mkdir -p ~/.config/secrets
      echo 'audit: { report: { max-versions: 3 } }' > ~/.config/secrets/secrets.yaml`);
    await writeLog(place, [read('trap', 0.9)]);
    const until = new Date(Date.now() + 300 * DAY_MS).toISOString().slice(0, 10);
    const suppress = [{ rule: '*', secret: '**', reason: 'none of it counts', until }];
    const report = { 'max-versions': 1_000_000 };
    await writeFile(join(place.cwd, 'secrets.yaml'), JSON.stringify({ audit: { report, suppress } }));
    const all = ['critical default-value weak', 'critical honey-read trap', 'low too-many-versions many'];
    const hostile = await place.sh('secrets audit report --values --fail-on low --json');
    expect(hostile.code).toBe(8);
    expect(hostile.stderr).toMatch(
      /warning: its part about the audit report is not used, since .*secrets\.yaml is not trusted \(line 1: audit\.report\.max-versions: the audit report measures by other limits; line 1: audit\.suppress\.0: findings of the audit report are left out\)/,
    );
    const data = JSON.parse(hostile.stdout) as ReportData;
    expect(found(data).toSorted()).toEqual(all);
    expect(data.suppressed).toEqual([]);
    // Neither does a profile of it, nor a file that is named.
    await writeFile(
      join(place.cwd, 'named.yaml'),
      JSON.stringify({ profiles: { ci: { audit: { report, suppress } } } }),
    );
    const named = await place.sh(
      'secrets audit report --config named.yaml --profile ci --values --fail-on low --json',
    );
    expect({ ...named, found: found(JSON.parse(named.stdout) as ReportData).toSorted() }).toMatchObject({
      code: 8,
      stderr: expect.stringMatching(/line 1: profiles\.ci\.audit\.suppress\.0: /) as string,
      found: all,
    });
    const trusted = await reportOf(place, '--values --fail-on low --trust');
    expect(found(trusted)).toEqual([]);
    expect(trusted.suppressed.map(({ rule }) => rule).toSorted()).toEqual(['default-value', 'honey-read']);
  });

  test('the log: a honey secret, a burst of denials, and who read what', async () => {
    await place.sh(
      `printf '${STRONG}' | secrets put --quiet trap --label honey=yes; printf '${STRONG}2' | secrets put --quiet a`,
    );
    const usual = Array.from({ length: 40 }, (_, n) => read('a', 45 - n));
    const denied = Array.from({ length: 8 }, (_, n) =>
      read(`other/${n}`, 1 - n / 5000, { outcome: 'denied' }),
    );
    await writeLog(place, [...usual, ...denied, read('trap', 0.9), read('a', 0.9, { store: 'elsewhere' })]);
    const data = await reportOf(place, '--values');
    expect(found(data)).toEqual(['critical honey-read trap', 'high denial-burst']);
    expect(data.findings[0]).toMatchObject({ principal: 'ann', evidence: { outcome: 'allowed' } });
    expect(data.access).toMatchObject({
      events: 49,
      origins: { secrets: 49 },
      principals: 1,
      readers: [{ principal: 'ann', reads: 41, denied: 8, secrets: 2 }],
    });
    // A honey secret is not read by the report either, so that its value is in no comparison.
    expect(data.values).toBe(true);
  });

  test('a log that is too short is said, not taken for silence', async () => {
    await place.sh(`printf '${STRONG}' | secrets put --quiet a`);
    await writeLog(place, [read('a', 3)]);
    const { notes } = await reportOf(place, '');
    const texts = notes.map(({ message }) => message).join('\n');
    expect(texts).toMatch(
      /never-read and no-reader are not known: its events begin on \d{4}-\d\d-\d\d, and 90 days are needed/,
    );
    expect(texts).toMatch(/anomalies need 14 days of events to learn from/);
    expect(texts).toMatch(/values were not read/);
  });

  test('reads of the report itself are no reads', async () => {
    await place.sh(`printf '${STRONG}' | secrets put --quiet a`);
    await writeLog(place, [read('a', 3, { command: 'audit report' })]);
    expect((await reportOf(place, '')).access.events).toBe(0);
  });

  test('names with markup and control characters stay text', async () => {
    const name = String.raw`a|<b>*[c](x)` + '`d`';
    await place.sh(`printf changeme | secrets put --quiet '${name}'`);
    await writeLog(place, [read('\u001b[31mx\u202e', 1, { actor: { user: '\u0007<script>' } })]);
    for (const format of ['terminal', 'json', 'sarif', 'markdown']) {
      const { stdout, code } = await place.sh(`secrets audit report --values --format ${format}`);
      expect(code).toBe(0);
      expect(UNSAFE.exec(stdout)).toBeNull();
      expect(stdout).not.toContain('changeme\n');
    }
  });

  test('a store that fails is a part of the report', async () => {
    await place.sh(`
      printf admin | secrets put --quiet weak
      echo 'stores: { far: { provider: vault, address: "http://127.0.0.1:9" } }' > secrets.yaml`);
    const env = { VAULT_TOKEN: 't' };
    const data = await reportOf(place, '--values --trust', env, 7);
    expect(found(data)).toEqual(['critical default-value weak']);
    const [far] = data.stores.filter(({ name }) => name === 'far');
    expect(far?.errors[0]?.kind).toMatch(/Unavailable|Usage/);
    const { code, stderr } = await place.sh('secrets audit report --values --trust --fail-on high', env);
    expect(code).toBe(8);
    expect(stderr).toContain('1 new finding is high or worse');
  });
});

describeWith('on a real Vault', [VAULT_SERVER], () => {
  let vault: Vault;
  let place: Place;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    vault = await startVault();
    place = await makePlace();
    env = { VAULT_ADDR: vault.url, VAULT_TOKEN: vault.token };
  });
  afterAll(async () => {
    await place.remove();
    await vault.stop();
  });

  test('versions, values and policies', async () => {
    await vault.api('POST', 'secret/data/pay/db', { data: { user: 'app', password: 'Summer2026' } });
    await vault.api('POST', 'secret/data/pay/gone', { data: { value: STRONG } });
    await vault.api('POST', 'secret/data/pay/gone', { data: { value: `${STRONG}2` } });
    await vault.api('POST', 'secret/data/web/token', { data: { value: STRONG } });
    await vault.api('POST', 'secret/destroy/pay/gone', { versions: [2] });
    await vault.api('PUT', 'sys/policies/acl/ops', {
      policy: '# all of it\npath "secret/*" { capabilities = ["read", "list"] }',
    });
    await vault.api('PUT', 'sys/policies/acl/pay', {
      policy: 'path "secret/data/pay/*" { capabilities = ["read"] }',
    });
    const data = await reportOf(place, 'vault --values', env);
    expect(found(data)).toEqual(['high weak-value pay/db', 'medium broad-access']);
    expect(data.findings[1]).toMatchObject({
      store: 'vault',
      evidence: { principal: 'policy ops', through: 'the policy ops, path secret/*', secretCount: 2 },
    });
    await vault.api('PUT', 'sys/policies/acl/default', {
      policy: '{"path":{"secret/data/web/+":{"capabilities":["read"]}}}',
    });
    expect(found(await reportOf(place, 'vault', env))).toEqual(['high broad-access', 'medium broad-access']);
  });

  test('a token that may not see policies is told so', async () => {
    await vault.api('PUT', 'sys/policies/acl/reader', {
      policy: 'path "secret/*" { capabilities = ["read", "list"] }',
    });
    const made = await vault.api('POST', 'auth/token/create', { policies: ['reader'] });
    const { client_token: token } = made['auth'] as { readonly client_token: string };
    const data = await reportOf(place, 'vault', { ...env, VAULT_TOKEN: token });
    expect(found(data)).toEqual([]);
    expect(data.notes.map(({ message }) => message)).toContain(
      'broad-access is not known of its secrets: the caller may not see it',
    );
  });
});

describeWith('on moto', awsFiles, () => {
  let aws: Aws;
  let place: Place;
  beforeAll(async () => {
    aws = await startAws();
    place = await makePlace();
  });
  afterAll(async () => {
    await place.remove();
    await aws.stop();
  });

  test('resource policies, values, and a caller without rights', async () => {
    const { SecretsManagerClient, PutResourcePolicyCommand } =
      await import('@aws-sdk/client-secrets-manager');
    const { admin } = aws;
    await place.sh(
      `for n in open ours narrow; do printf "$n-${STRONG}" | secrets put --quiet aws://$n; done; printf guest | secrets put --quiet aws://guest`,
      admin,
    );
    const client = new SecretsManagerClient({
      region: 'eu-west-1',
      endpoint: admin['AWS_ENDPOINT_URL'] as string,
      credentials: {
        accessKeyId: admin['AWS_ACCESS_KEY_ID'] as string,
        secretAccessKey: admin['AWS_SECRET_ACCESS_KEY'] as string,
      },
    });
    const allow = (principal: unknown, action: string): string =>
      JSON.stringify({
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: principal, Action: action, Resource: '*' }],
      });
    // AWS takes no policy that names a role which isn't there.
    await aws.makeRole('app', JSON.parse(allow(undefined, 'sts:GetCallerIdentity')) as object);
    for (const [name, policy] of [
      ['open', allow('*', 'secretsmanager:Get*')],
      ['ours', allow({ AWS: 'arn:aws:iam::123456789012:root' }, 'secretsmanager:GetSecretValue')],
      ['narrow', allow({ AWS: 'arn:aws:iam::123456789012:role/app' }, 'secretsmanager:GetSecretValue')],
    ] as const)
      await client.send(new PutResourcePolicyCommand({ SecretId: name, ResourcePolicy: policy }));
    client.destroy();
    const data = await reportOf(place, 'aws --values', admin);
    expect(found(data)).toEqual([
      'critical default-value guest',
      'critical broad-access open',
      'medium broad-access ours',
    ]);
    const { nobody } = aws;
    const denied = await reportOf(place, 'aws', nobody, 7);
    expect(denied.stores[0]?.errors[0]?.kind).toBe('Denied');
  });

  test('the service’s own trail tells of a read that came past this program', async () => {
    const { admin } = aws;
    const trail = await startTrail(aws, {
      principals: new Map([[admin['AWS_ACCESS_KEY_ID'] ?? '', 'arn:aws:iam::123456789012:user/mallory']]),
    });
    const env = { ...admin, AWS_ENDPOINT_URL: trail.url };
    try {
      await place.sh(`printf '${STRONG}' | secrets put --quiet aws://trap --label honey=yes`, env);
      const before = await reportOf(place, 'aws --trail --quiet', env);
      expect(before.findings.filter(({ rule }) => rule === 'honey-read')).toEqual([]);
      // From another machine, whose log is not at hand.
      await place.sh('HOME=$(mktemp -d) secrets get aws://trap', env);
      const { findings, access } = await reportOf(place, 'aws --trail --quiet', env);
      expect(findings.filter(({ rule }) => rule === 'honey-read')).toMatchObject([
        { secret: 'trap', principal: 'arn:aws:iam::123456789012:user/mallory', severity: 'critical' },
      ]);
      // Beside it stands what our own log has of this store.
      expect(Object.keys(access.origins).toSorted()).toEqual(['cloudtrail', 'secrets']);
    } finally {
      await trail.stop();
    }
  });
});
