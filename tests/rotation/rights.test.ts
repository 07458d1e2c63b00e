/** `rotate --dry-run`: what each store says of the caller's rights, and that asking changes nothing. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { open as openConjur } from '../../src/providers/conjur/index.ts';
import { open as openGcp } from '../../src/providers/gcp/index.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { open as openVault } from '../../src/providers/vault/index.ts';
import { SecretPlace } from '../../src/rotation/place.ts';
import { storeFindings } from '../../src/rotation/store-findings.ts';
import { ACCOUNT, type Conjur, startConjur } from '../backends/conjur.ts';
import { ADMIN, type Gcp, startGcp } from '../backends/gcp.ts';
import { describeWith } from '../backends/server.ts';
import { scenarioFiles as vaultFiles, startVault, type Vault } from '../backends/vault.ts';
import { all, bytes, contextFor, now } from '../contract/kit.ts';
import { makePlace, type Place } from '../e2e/program.ts';
import { azure, STORES } from './stores.ts';

const HOME = '/nonexistent';

/** All that can be known of a secret. */
async function snapshot(provider: Provider, name: string): Promise<unknown> {
  const stages = ['current', 'previous', 'pending'];
  const answers = await provider.get(
    stages.map((stage) => ({ name, stage })),
    now(),
  );
  return JSON.stringify({
    answers: answers.map((answer) =>
      answer.ok ? { ...answer.secret, requestId: undefined } : answer.error.kind,
    ),
    history: await all(provider.history?.(name, now()) ?? none()),
    about: await provider.describe(name, now()),
    names: (await all(provider.list({}, now()))).map((one) => one.name),
  });
}

async function* none(): AsyncGenerator<never> {
  // A store without history.
}

/** `status: detail` of the findings of a caller, while the secret stays as the owner sees it. */
async function askAs(caller: Provider, name: string, owner = caller): Promise<string[]> {
  const before = await snapshot(owner, name);
  const findings = await storeFindings(new SecretPlace(caller, name, now), now());
  expect(await snapshot(owner, name)).toBe(before);
  return findings.map((finding) =>
    'right' in finding ? `${finding.right} ${finding.status}: ${finding.detail}` : finding.check,
  );
}

const EVERYTHING = 'allowed ok: allowed: put a pending version, promote it, discard it, set labels';

describeWith('rights in vault', vaultFiles, () => {
  let vault: Vault;
  let place: Place;
  const docs = readFileSync(new URL('../../docs/vault.md', import.meta.url), 'utf8');
  const ROTATE = [...docs.matchAll(/```hcl\n([^`]*)```/g)][3]?.[1] ?? '';
  const READ = `
    path "secret/data/payments/db" { capabilities = ["read", "update"] }
    path "secret/metadata/payments/db" { capabilities = ["read", "patch"] }
    path "secret/data/payments/db.secrets-pending" { capabilities = ["read"] }`;
  beforeAll(async () => {
    vault = await startVault();
    place = await makePlace();
  });
  afterAll(async () => {
    await place.remove();
    await vault.stop();
  });
  const token = async (policy: string): Promise<string> => {
    const name = `rights-${policy.length}`;
    await vault.api('PUT', `sys/policies/acl/${name}`, { policy });
    const made = await vault.api('POST', 'auth/token/create', { policies: [name] });
    return (made['auth'] as { client_token: string }).client_token;
  };
  const as = (VAULT_TOKEN: string): Provider =>
    openVault({}, contextFor({ VAULT_ADDR: vault.url, VAULT_TOKEN }, HOME));

  test('are those of the token: with the documented policy everything, else what is missing is named', async () => {
    const owner = as(vault.token);
    await owner.put('payments/db', { value: bytes('first') }, now());
    expect(await askAs(as(await token(ROTATE)), 'payments/db', owner)).toEqual([EVERYTHING]);
    expect(await askAs(as(await token(READ)), 'payments/db', owner)).toEqual([
      'denied fail: denied: put a pending version, promote it, discard it (missing: ' +
        'create on secret/data/payments/db.secrets-pending, update on secret/data/payments/db.secrets-pending, ' +
        'read on secret/metadata/payments/db.secrets-pending, update on secret/metadata/payments/db.secrets-pending, ' +
        'delete on secret/metadata/payments/db.secrets-pending)',
      'allowed ok: allowed: set labels',
    ]);
  });

  test('that are missing are exit 4 of --dry-run, in a line of the schema', async () => {
    await as(vault.token).put('payments/db', { value: bytes('first') }, now());
    writeFileSync(
      join(place.cwd, 'secrets.yaml'),
      JSON.stringify({ rotation: { 'vault://payments/db': {} } }),
    );
    const env = { VAULT_ADDR: vault.url, VAULT_TOKEN: await token(READ) };
    const outcome = await place.sh('secrets rotate vault://payments/db --trust --dry-run --json', env);
    expect(outcome).toMatchObject({ code: 4, stderr: expect.stringMatching(/create on secret\/data/) });
    const line = JSON.parse(outcome.stdout) as { findings: { right?: string }[] };
    const schema = JSON.parse(readFileSync('schemas/output/rotate.schema.json', 'utf8')) as object;
    expect(new Ajv2020({ strict: false, formats: { 'date-time': true } }).validate(schema, line)).toBe(true);
    expect(line.findings.map(({ right }) => right)).toEqual([undefined, 'denied', 'allowed']);
    const text = await place.sh('secrets rotate vault://payments/db --trust --dry-run', env);
    expect(text.stdout).toMatch(
      / {2}fail rights: denied: put a pending version.*\n {2}ok rights: allowed: set labels\n/,
    );
    const allowed = { ...env, VAULT_TOKEN: await token(ROTATE) };
    expect(await place.sh('secrets rotate vault://payments/db --trust --dry-run', allowed)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ {2}ok rights: allowed: put a pending version, promote it/),
    });
  });
});

describe('rights in gcp', () => {
  let gcp: Gcp;
  beforeAll(async () => {
    gcp = await startGcp();
  });
  afterAll(() => gcp.stop());
  const as = async (name: string, roles: readonly string[]): Promise<Provider> =>
    openGcp({ ca: gcp.caFile }, contextFor(gcp.env(await gcp.account(name, roles)), HOME));

  test('are those that testIamPermissions tells; of what is not there yet nobody knows', async () => {
    const owner = await as('owner', ADMIN);
    await owner.put('db', { value: bytes('first') }, now());
    const [known] = await askAs(owner, 'db');
    expect(known).toMatch(
      /^unknown warn: not known: put a pending version, promote it, discard it \(.*secrets\.create/,
    );
    const viewer = await as('viewer', ['roles/secretmanager.secretAccessor', 'roles/secretmanager.viewer']);
    expect(await askAs(viewer, 'db', owner)).toContain(
      'denied fail: denied: promote it (missing: secretmanager.secrets.update on db, secretmanager.versions.add on db)',
    );
    // While something is pending, all is known.
    await owner.put('db', { value: bytes('next'), stage: 'pending' }, now());
    expect(await askAs(owner, 'db')).toEqual([EVERYTHING]);
    expect((await askAs(viewer, 'db', owner))[0]).toMatch(
      /^denied fail: denied: put a pending version, promote it, discard it \(missing: .*secretmanager.secrets.delete on db/,
    );
  });
});

describe('rights in conjur', () => {
  let conjur: Conjur;
  beforeAll(async () => {
    conjur = await startConjur();
  });
  afterAll(async () => {
    const problems = await conjur.problems();
    await conjur.stop();
    expect(problems).toEqual([]);
  });
  const as = (login: string): Provider => openConjur({}, contextFor(conjur.env(login), HOME));

  test('are privileges on the policy and the variable', async () => {
    const owner = as('admin');
    await owner.put('shared/readable', { value: bytes('first') }, now());
    await owner.put('shared/writable', { value: bytes('first') }, now());
    expect(await askAs(owner, 'shared/readable')).toEqual(['claim', EVERYTHING]);
    await conjur.log();
    expect(await askAs(as('host/reader'), 'shared/readable', owner)).toEqual([
      'claim',
      'denied fail: denied: put a pending version, promote it, discard it (missing: update on !policy root, ' +
        'update on !variable shared/readable)',
      'denied warn: denied: set labels (missing: update on !policy root)',
    ]);
    const changing = (await conjur.log()).filter(
      (line) => !line.startsWith('GET ') && !line.includes(`/authn/${ACCOUNT}/`),
    );
    expect(changing).toEqual([]);
  });
});

describe('rights in a local store', () => {
  const asNobody = process.getuid?.() === 0;
  const files = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .toSorted()
      .map((path) => {
        const { mtimeMs, size } = statSync(join(folder, path));
        return `${path} ${size} ${mtimeMs}`;
      });

  test('are those of its folders', async () => {
    const place = await makePlace();
    const env = { SECRETS_LOCAL_KEY_METHOD: 'key-file' };
    await place.sh('printf v | secrets put --quiet a; echo "rotation: { a: {} }" > secrets.yaml', env);
    const store = join(place.home, '.local/share/secrets/store');
    const before = files(store);
    const run = asNobody ? 'setpriv --reuid=65534 --regid=65534 --clear-groups ' : '';
    if (asNobody) execFileSync('chown', ['-R', '65534:65534', place.root]);
    const dry = `${run}secrets rotate a --trust --dry-run`;
    expect(await place.sh(dry, env)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ok rights: allowed/),
    });
    for (const folder of ['secrets', '.']) chmodSync(join(store, folder), 0o500);
    const outcome = await place.sh(dry, env);
    for (const folder of ['.', 'secrets']) chmodSync(join(store, folder), 0o700);
    expect(outcome).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/missing: the right to write in .*\/store/),
    });
    expect(files(store)).toEqual(before);
    await place.remove();
  });
});

for (const store of [...STORES.filter(({ title }) => title === 'aws'), azure])
  describeWith(`rights in ${store.title}`, store.files, () => {
    test('can’t be asked, and that is said', async () => {
      const { provider, stop } = await store.start();
      await provider.put('db', { value: bytes('first') }, now());
      const found = await askAs(provider, 'db');
      await provider.close();
      await stop();
      expect(found.at(-1)).toMatch(
        /^unknown warn: not known: put a pending version, promote it, discard it, set labels \((Secrets Manager|Key Vault) does not say/,
      );
      expect(found.filter((line) => line.startsWith('allowed'))).toEqual([]);
    });
  });
