/** Expiry dates in Key Vault as reminders: secrets rotates, and each new version gets its date. */
import { type Azure, scenarioFiles, startAzure } from '../backends/azure.ts';
import { describeWith } from '../backends/server.ts';
import { usePlace } from './native-kit.ts';

const DAY_MS = 86_400_000;

describeWith('reminders of azure', scenarioFiles, () => {
  let azure: Azure;
  let env: Readonly<Record<string, string>>;
  const runs = usePlace(() => env);
  const { policies, sh, ok, json, status } = runs;
  const expiry = (name: string): number | undefined =>
    (azure.vault.get(name, '')['attributes'] as { exp?: number }).exp;
  const inDays = (days: number): number => Math.floor((Date.now() + days * DAY_MS) / 1000);

  beforeAll(async () => {
    azure = await startAzure();
  });
  beforeEach(() => {
    env = azure.env('officer');
  });
  afterAll(async () => {
    await azure.stop();
    expect(azure.server.problems).toEqual([]);
  });

  test('a rotated secret expires when it is to be rotated again', async () => {
    policies({ 'azure://db': { every: '30d', generate: 'hex:16', native: { reminder: 'expiry' } } });
    await ok('printf first | secrets put --quiet azure://db --label team=x');
    expect(await ok('secrets rotate azure://db --dry-run')).toMatch(
      /target none\n[^]*ok reminder: the new version gets a date 30 days on; now: none yet\n/,
    );
    expect(expiry('db')).toBeUndefined();
    const { code, stderr } = await sh('secrets rotate azure://db');
    expect([code, stderr]).toEqual([0, '']);
    expect(await ok('secrets get azure://db')).toMatch(/^[0-9a-f]{32}$/);
    expect(Math.abs((expiry('db') ?? 0) - inDays(30))).toBeLessThan(60);
    expect(await ok('secrets get azure://db --metadata | jq -r .labels.team')).toBe('x\n');
    expect(await status()).toMatchObject([
      { reference: 'azure://db', state: 'ok', by: 'azure expiry', native: { role: 'reminds' } },
    ]);
    // A date of its own, later than the rotation: what is late is not expired yet.
    policies({ 'azure://db': { every: '30d', native: { reminder: 'expiry', after: '45d' } } });
    expect(await json('secrets rotate azure://db --configure --json')).toMatchObject({
      outcome: 'configured',
      native: { by: 'azure expiry', changes: [{ setting: 'expiry', to: expect.any(String) }] },
    });
    expect(Math.abs((expiry('db') ?? 0) - inDays(45))).toBeLessThan(60);
    expect(await json('secrets rotate azure://db --configure --json')).toMatchObject({ outcome: 'nothing' });
  });

  test('status shows dates of secrets without a policy, and what has expired is overdue', async () => {
    azure.vault.set('gone', { value: 'v', attributes: { exp: inDays(-1) } });
    azure.vault.set('soon', { value: 'v', attributes: { exp: inDays(3) } });
    azure.vault.set('open', { value: 'v' });
    policies({}, { default: 'azure' });
    const rows = (await status()).filter(({ reference }) => /gone|soon|open/.test(reference));
    expect(rows.map(({ reference, state, by }) => [reference, state, by])).toEqual([
      ['azure://gone', 'overdue', 'azure expiry'],
      ['azure://soon', 'ok', 'azure expiry'],
    ]);
    policies({ 'azure://gone': { native: { reminder: 'expiry', after: '30d' } } });
    expect((await status()).find(({ reference }) => reference === 'azure://gone')).toMatchObject({
      state: 'overdue',
    });
  });

  test('a policy that names no date rotates nothing; one that is late for a version is said', async () => {
    azure.vault.set('half', { value: 'v' });
    policies({ 'azure://half': { native: { reminder: 'expiry' } } });
    // Nothing says when.
    const { code, stderr } = await sh('secrets rotate azure://half');
    expect(code).toBe(2);
    expect(stderr).toMatch(/the policy does not say when it expires; add every, or native.after/);
    expect(await ok('secrets get azure://half')).toBe('v');
    policies({ 'azure://half': { every: '10d', native: { reminder: 'expiry' } } });
    await ok('secrets rotate --configure azure://half');
    expect(Math.abs((expiry('half') ?? 0) - inDays(10))).toBeLessThan(60);
    azure.vault.age('half', [11 * 86_400]);
    expect(await sh('secrets rotate --configure azure://half')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/its version should have expired at .*rotate it/),
    });
    env = azure.env('user');
    policies({ 'azure://soon': { every: '10d', native: { reminder: 'expiry' } } });
    azure.vault.set('soon', { value: 'v' });
    expect(await sh('secrets rotate --configure azure://soon')).toMatchObject({ code: 4 });
    expect(expiry('soon')).toBeUndefined();
  });

  test('there is nothing that Key Vault could cancel or be asked to rotate', async () => {
    azure.vault.set('plain', { value: 'v', attributes: { exp: inDays(3) } });
    expect(await sh('secrets rotate cancel azure://plain')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/azure can’t remove the expiry date/),
    });
    policies({ 'azure://plain': { native: { reminder: 'expiry', function: 'x' } } });
    expect((await sh('secrets rotate azure://plain')).stderr).toMatch(/unknown key .*function/);
  });
});
