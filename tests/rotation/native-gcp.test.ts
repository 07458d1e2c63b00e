/** Rotations as Google has them: a topic is told that it is time, and a new version shows that somebody listened. */
import { type Account, ADMIN, type Gcp, startGcp } from '../backends/gcp.ts';
import { usePlace } from './native-kit.ts';

describe('rotation by gcp', () => {
  let gcp: Gcp;
  let env: Readonly<Record<string, string>>;
  let admin: Account;
  const runs = usePlace(() => env);
  const { policies, sh, ok, json, status } = runs;
  const topic = (name = 'rotations'): string => `projects/${gcp.project}/topics/${name}`;
  const full = (id: string): string => `projects/${gcp.project}/secrets/${id}`;
  const ahead = (text: unknown): number => (Date.parse(String(text)) - Date.now()) / 60_000;

  beforeAll(async () => {
    gcp = await startGcp();
    admin = await gcp.account('admin', ADMIN);
  });
  beforeEach(() => {
    env = gcp.env(admin);
  });
  afterAll(() => gcp.stop());

  /** The secret as Google's REST gives it. */
  const raw = async (id: string): Promise<Record<string, unknown>> => {
    const { stdout } = await runs.place.sh(
      `curl -s --cacert '${gcp.caFile}' -H "authorization: Bearer $TOKEN" '${gcp.url}/v1/${full(id)}'`,
      { TOKEN: (await gcp.door('token', { principal: `serviceAccount:${admin.email}` }))['token'] ?? '' },
    );
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  test('sets topic and period, has the topic told as early as Google can, and sees the new version', async () => {
    policies({ 'gcp://db': { every: '30d', native: { topic: topic() } } });
    await ok('printf first | secrets put --quiet gcp://db --label team=x');
    const [row] = await status();
    expect(row).toMatchObject({ reference: 'gcp://db', state: 'never' });

    const waiting = json('secrets rotate gcp://db --json');
    // Whoever listens to the topic, once it is set.
    while ((await raw('db'))['rotation'] === undefined) continue;
    await ok('printf second | secrets put --quiet gcp://db --label team=x');
    const done = await waiting;
    expect(done).toMatchObject({
      code: 0,
      outcome: 'done',
      version: '2',
      native: {
        by: 'gcp topic rotations',
        changes: [
          { setting: 'topic', to: topic() },
          { setting: 'every', to: '30d' },
        ],
      },
    });
    expect(ahead((done['native'] as { startsAt: string }).startsAt)).toBeGreaterThan(4.5);
    const secret = await raw('db');
    expect(secret).toMatchObject({
      topics: [{ name: topic() }],
      rotation: { rotationPeriod: '2592000s' },
      labels: { team: 'x' },
    });
    expect(ahead((secret['rotation'] as { nextRotationTime: string }).nextRotationTime)).toBeLessThan(6);
    expect(await status()).toMatchObject([
      { state: 'ok', by: 'gcp topic rotations', everySeconds: 2_592_000, native: { role: 'notifies' } },
    ]);
  });

  test('--configure sets the date from the age of the secret, once; --dry-run sets nothing', async () => {
    policies({ 'gcp://conf': { every: '2h', native: { topic: topic() } } });
    await ok('printf v | secrets put --quiet gcp://conf');
    const before = await raw('conf');
    expect(await ok('secrets rotate gcp://conf --dry-run')).toBe(
      `gcp://conf: would set topic ${topic()}, every 2h, and have its service rotate it\n`,
    );
    await ok('secrets rotate gcp://conf --configure --dry-run; secrets rotate --due --dry-run');
    expect(await raw('conf')).toEqual(before);
    await ok('secrets rotate gcp://conf --configure');
    const after = await raw('conf');
    expect(ahead((after['rotation'] as { nextRotationTime: string }).nextRotationTime)).toBeGreaterThan(115);
    expect(await json('secrets rotate gcp://conf --configure --json')).toMatchObject({ outcome: 'nothing' });
    expect((await raw('conf'))['etag']).toBe(after['etag']);
    // Somebody else's topic stays beside the policy's.
    policies({ 'gcp://conf': { every: '3h', native: { topic: topic('others') } } });
    expect(await json('secrets rotate gcp://conf --configure --json')).toMatchObject({
      native: {
        changes: [
          { setting: 'topic', from: topic(), to: topic('others') },
          { setting: 'every', from: '2h', to: '3h' },
        ],
      },
    });
    expect(await raw('conf')).toMatchObject({ topics: [{ name: topic() }, { name: topic('others') }] });
    await ok('secrets rotate cancel gcp://conf');
    expect(await raw('conf')).not.toHaveProperty('rotation');
    expect(await ok('secrets get gcp://conf')).toBe('v');
  });

  test('a topic that was told, and no version since, is overdue; --due has it told again', async () => {
    policies({ 'gcp://deaf': { every: '2h', native: { topic: topic() } } });
    await ok('printf v | secrets put --quiet gcp://deaf; secrets rotate gcp://deaf --configure');
    await gcp.door('age', { name: full('deaf'), seconds: 9000 });
    const row = (await status()).find(({ reference }) => reference === 'gcp://deaf');
    expect(await gcp.door('notices')).toEqual({ notices: [full('deaf')] });
    expect(row).toMatchObject({ state: 'overdue', native: { lastRotated: expect.any(String) } });
    expect(await sh('secrets rotate --due --wait 1s')).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(
        /begun, and not done after 1 s: the topic will be told at \d\d:\d\dZ, the earliest that Google takes/,
      ),
    });
    expect(await json('secrets rotate gcp://deaf --wait 0 --json')).toMatchObject({ outcome: 'started' });
  });

  test('status finds, by the list, what nobody here has a policy for', async () => {
    policies({ 'gcp://listed': { every: '30d', native: { topic: topic() } } });
    await ok('printf v | secrets put --quiet gcp://listed; secrets rotate gcp://listed --configure');
    policies({}, { default: 'gcp' });
    await gcp.door('calls');
    const rows = await status();
    expect(rows.find(({ reference }) => reference === 'gcp://listed')).toMatchObject({
      state: 'ok',
      by: 'gcp topic rotations',
      next: expect.any(String),
    });
    const { calls } = await gcp.door<{ calls: string[] }>('calls');
    expect(new Set(calls)).toEqual(new Set(['ListSecrets']));
  });

  test('what Google refuses is said in its words, with what is missing', async () => {
    policies({ 'gcp://no': { every: '30d', native: { topic: topic('closed') } } });
    await ok('printf v | secrets put --quiet gcp://no');
    await gcp.door('unpublishable', { topic: topic('closed') });
    expect(await sh('secrets rotate gcp://no')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/permission to publish.*service agent needs roles\/pubsub\.publisher/),
    });
    policies({ 'gcp://no': { every: '30m', native: { topic: topic() } } });
    expect((await sh('secrets rotate gcp://no')).stderr).toMatch(/every hour at most/);
    policies({ 'gcp://no': { native: { topic: 'rotations' } } });
    expect((await sh('secrets rotate gcp://no')).stderr).toMatch(/must be a topic as projects\/P\/topics\/T/);
    policies({ 'gcp://no': { native: {} } });
    expect((await sh('secrets rotate gcp://no')).stderr).toMatch(/native\.topic is missing/);
    const before = await raw('no');
    env = gcp.env(await gcp.account('viewer', ['roles/secretmanager.viewer']));
    policies({ 'gcp://no': { every: '30d', native: { topic: topic() } } });
    expect(await sh('secrets rotate gcp://no')).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/not allowed.*roles\/secretmanager\.admin/),
    });
    expect(await raw('no')).toEqual(before);
  });
});
