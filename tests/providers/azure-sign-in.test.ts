/** Every way to sign in to Azure, with the built program, against the clouds' own host names. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Azure, type Env, OTHER_TENANT, scenarioFiles, startAzure, TENANT } from '../backends/azure.ts';
import { describeWith, freePort } from '../backends/server.ts';
import { makePlace, type Outcome, type Place } from '../e2e/program.ts';

const VALUE = 'value-of-the-probe';

describeWith('signing in to azure', scenarioFiles, () => {
  let azure: Azure;
  let place: Place;

  beforeAll(async () => {
    azure = await startAzure();
    azure.vault.set('probe', { value: VALUE });
  });
  afterAll(async () => {
    await azure.stop();
    expect(azure.server.problems).toEqual([]);
  });
  beforeEach(async () => {
    place = await makePlace();
    azure.entra.machine = undefined;
  });
  afterEach(() => place.remove());

  /** The user's own settings, as JSON, which is YAML too. */
  const configure = (stores: object): void => {
    const folder = join(place.home, '.config/secrets');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, 'secrets.yaml'), JSON.stringify({ stores }), { mode: 0o600 });
  };
  const get = (env: Env, more = ''): Promise<Outcome> =>
    place.sh(`secrets get azure://probe ${more}`, { ...azure.network, ...env });
  const expectSignIn = async (env: Env, source: string, principal: string): Promise<void> => {
    expect(await get(env)).toEqual({ stdout: VALUE, stderr: '', code: 0 });
    const { stdout } = await place.sh('secrets doctor azure', { ...azure.network, ...env });
    expect(stdout).toContain(principal);
    expect(stdout).toContain(`from ${source}`);
  };
  const application = (): Env => {
    const { AZURE_TENANT_ID, AZURE_CLIENT_ID } = azure.env('user') as Record<string, string>;
    return { AZURE_TENANT_ID: AZURE_TENANT_ID as string, AZURE_CLIENT_ID: AZURE_CLIENT_ID as string };
  };
  const onPath = (folder: string): Env => ({ PATH: `${folder}:${place.env['PATH'] ?? ''}` });
  /** Not a word of a credential or of the value in what is printed. */
  const expectDiscreet = ({ stdout, stderr }: Outcome): void => {
    for (const secret of [...azure.secrets, VALUE, 'eyJ']) expect(stdout + stderr).not.toContain(secret);
  };

  test('with a client secret from the environment', () =>
    expectSignIn(azure.env('user'), 'environment variables', azure.clientId('user')));

  test('with a certificate, plain or locked, from the environment', async () => {
    const { file, lockedFile, password } = azure.certificate;
    const env = { ...application(), AZURE_CLIENT_CERTIFICATE_PATH: file };
    await expectSignIn(env, 'environment variables', azure.clientId('user'));
    const locked = { ...env, AZURE_CLIENT_CERTIFICATE_PATH: lockedFile };
    expect((await get({ ...locked, AZURE_CLIENT_CERTIFICATE_PASSWORD: password })).stdout).toBe(VALUE);
    for (const more of [{}, { AZURE_CLIENT_CERTIFICATE_PASSWORD: 'wrong' }]) {
      const outcome = await get({ ...locked, ...more });
      expect(outcome).toMatchObject({
        code: 4,
        stderr: expect.stringMatching(
          /client certificate of the environment can’t be read as PEM with its key; AZURE_CLIENT_CERTIFICATE_PASSWORD/,
        ),
      });
      expectDiscreet(outcome);
    }
    expect(await get({ ...env, AZURE_CLIENT_CERTIFICATE_PATH: '/nonexistent.pem' })).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(
        /cannot read the file of the client certificate of the environment \(ENOENT\)/,
      ),
    });
  });

  test('with a workload identity', () =>
    expectSignIn(
      { ...application(), AZURE_FEDERATED_TOKEN_FILE: azure.tokenFile },
      'workload identity',
      azure.clientId('user'),
    ));

  test('with a managed identity of App Service, or of the machine', async () => {
    azure.entra.machine = azure.identity;
    const { clientId } = azure.identity;
    const appService = {
      IDENTITY_ENDPOINT: `${azure.server.proxyUrl}/msi/token`,
      IDENTITY_HEADER: azure.entra.identityHeader,
    };
    await expectSignIn(appService, 'managed identity', clientId as string);
    const machine = { AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.server.proxyUrl };
    await expectSignIn(machine, 'managed identity', clientId as string);
    expect((await get({ ...machine, AZURE_CLIENT_ID: clientId as string })).stdout).toBe(VALUE);
    configure({ azure: { provider: 'azure', auth: { method: 'managed-identity', 'client-id': 'another' } } });
    expect(await get(machine)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('no managed identity on this machine'),
    });
  });

  test('with the Azure CLI, which is tried when nothing else is set up', async () => {
    const env = onPath(azure.makeAzureCli());
    await expectSignIn(env, 'Azure CLI', azure.user.upn as string);
    const signedOut = onPath(
      azure.makeAzureCli(`echo "ERROR: Please run 'az login' to setup account." >&2; exit 1`),
    );
    configure({ azure: { provider: 'azure', auth: { method: 'azure-cli' } } });
    expect(await get(signedOut)).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/the Azure CLI is not signed in/),
    });
    expect(await get({})).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/the Azure CLI is not installed/),
    });
    // A program may print anything; none of it is shown.
    const odd = await get(onPath(azure.makeAzureCli(`echo "${azure.secrets[0]}"; exit 3`)));
    expect(odd.code).toBe(4);
    expectDiscreet(odd);
  });

  test('the deadline ends an Azure CLI that hangs, and the command with it', async () => {
    const env = onPath(azure.makeAzureCli('echo $$ > "$HOME/pid"; sleep 600'));
    const pid = join(place.home, 'pid');
    // Longer until there is time enough for the Azure CLI to be started on this machine.
    for (let seconds = 2; !existsSync(pid); seconds *= 2) {
      const outcome = await get({ ...env, AZURE_TOKEN_CREDENTIALS: 'dev' }, `--timeout ${seconds}s`);
      expect(outcome).toMatchObject({ code: 6, stderr: expect.stringContaining('no answer in time') });
      expect([seconds, seconds < 100]).toEqual([seconds, true]);
    }
    expect(readFileSync(pid, 'utf8')).toMatch(/^\d+$/m);
  });

  test('in the order of DefaultAzureCredential, which AZURE_TOKEN_CREDENTIALS may change', async () => {
    const env = { ...azure.env('user'), ...onPath(azure.makeAzureCli()) };
    await expectSignIn(env, 'environment variables', azure.clientId('user'));
    await expectSignIn({ ...env, AZURE_TOKEN_CREDENTIALS: 'dev' }, 'Azure CLI', azure.user.upn as string);
    const named = { ...env, AZURE_TOKEN_CREDENTIALS: 'AzureCliCredential' };
    await expectSignIn(named, 'Azure CLI', azure.user.upn as string);
    expect(await get({ ...env, AZURE_TOKEN_CREDENTIALS: 'Nonsense' })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('AZURE_TOKEN_CREDENTIALS'),
    });
    configure({ azure: { provider: 'azure', auth: { method: 'azure-cli' } } });
    await expectSignIn(env, 'Azure CLI', azure.user.upn as string);
  });

  test('loads the one class it uses, and none for another store', async () => {
    // Every file that the launcher reads, by a preloaded script.
    const hook = join(place.root, 'hook.cjs');
    writeFileSync(
      hook,
      `const fs = require('node:fs'); const read = fs.readFileSync; const seen = [];
      fs.readFileSync = (file, ...rest) => { seen.push(String(file)); return read(file, ...rest); };
      process.on('exit', () => fs.writeFileSync(process.env.SEEN, seen.join('\\n')));`,
    );
    const chunks = async (line: string, env: Env): Promise<string[]> => {
      const seen = join(place.root, 'seen');
      await place.sh(line, { ...azure.network, ...env, NODE_OPTIONS: `--require ${hook}`, SEEN: seen });
      const names = [...readFileSync(seen, 'utf8').matchAll(/\/chunks\/([a-zA-Z-]+?)-[\w-]{8}\.js$/gm)];
      expect(names.length).toBeGreaterThan(0);
      return names.map(([, name]) => name ?? '');
    };
    const classes = /^(client-secret|client-certificate|workload-identity|managed-identity|azure-)/;
    const used = await chunks('secrets get azure://probe', azure.env('user'));
    expect(used.filter((name) => classes.test(name))).toEqual(['client-secret']);
    const cli = await chunks('secrets get azure://probe', {
      AZURE_TOKEN_CREDENTIALS: 'dev',
      ...onPath(azure.makeAzureCli()),
    });
    expect(cli.filter((name) => classes.test(name))).toEqual(['azure-cli']);
    expect(cli).not.toContain('msalClient');
    const local = await chunks('secrets get local://nothing', azure.env('user'));
    expect(local.filter((name) => classes.test(name) || name === 'azure')).toEqual([]);
  });

  test('fails in one line: without a credential, with a wrong one, without a sign-in host', async () => {
    expect(await get({})).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(
        /^secrets: azure:\/\/probe: no Azure credential: none of the ways to sign in is set up; az login, or AZURE_TENANT_ID.*\n$/,
      ),
    });
    expect((await get({}, '--debug')).stderr).toMatch(/environment variables: AZURE_TENANT_ID is not set/);
    const wrong = await get({ ...azure.env('user'), AZURE_CLIENT_SECRET: 'wrong-secret' });
    expect(wrong).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(
        /Microsoft Entra ID refuses the client secret of the environment: AADSTS7000215: Invalid client secret provided/,
      ),
    });
    expect(wrong.stderr).not.toContain('wrong-secret');
    const nowhere = { ...azure.env('user'), AZURE_AUTHORITY_HOST: `https://127.0.0.1:${await freePort()}` };
    expect(await get(nowhere)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(
        /can’t sign in: 127\.0\.0\.1:\d+ can’t be reached or failed \(ECONNREFUSED\)/,
      ),
    });
  });

  test('TLS is verified, whatever the environment says', async () => {
    const env = { ...azure.env('user'), NODE_EXTRA_CA_CERTS: '', NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    const before = azure.server.log.length;
    expect(await get(env)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/is not to be trusted|can’t sign in/),
    });
    expect(azure.server.log.length).toBe(before);
  });

  test('a vault in another tenant needs that tenant named', async () => {
    const env = { ...azure.env('user'), AZURE_KEYVAULT_URL: '', AZURE_KEYVAULT_NAME: 'foreign' };
    expect(await get(env)).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/the vault is in another tenant.*additional-tenants/),
    });
    configure({ azure: { provider: 'azure', auth: { 'additional-tenants': [OTHER_TENANT] } } });
    expect(await get(env)).toMatchObject({ code: 3, stderr: expect.stringContaining('not found') });
    configure({ azure: { provider: 'azure', auth: { 'tenant-id': OTHER_TENANT } } });
    expect((await get(env)).code).toBe(3);
    expect(TENANT).not.toBe(OTHER_TENANT);
  });

  test.each([
    ['China', { vault: 'tests', cloud: 'china' }, 'tests.vault.azure.cn'],
    ['the US government', { vault: 'tests', cloud: 'us-government' }, 'tests.vault.usgovcloudapi.net'],
    [
      'one’s own',
      {
        vault: 'tests',
        'dns-suffix': 'vault.example.test',
        'authority-host': 'https://login.example.test',
        'disable-instance-discovery': true,
      },
      'tests.vault.example.test',
    ],
  ])('in the cloud of %s', async (_title, settings, host) => {
    configure({ other: { provider: 'azure', ...settings } });
    const env = { ...azure.network, ...azure.env('officer') };
    const before = azure.server.log.length;
    const { stdout, stderr } = await place.sh(
      'printf "%s" there | secrets put other://probe-there && secrets get other://probe-there --debug',
      env,
    );
    expect(stdout).toBe('there');
    expect(stderr).toContain(`GET ${host}/secrets/probe-there`);
    expect(azure.server.log.length).toBeGreaterThan(before);
  });

  test('no credential, token or value in debug lines, nor in the SDK’s own log', async () => {
    const outcome = await get(azure.env('user'), '--debug --out ./value');
    expect(outcome.stderr).toContain('signed in with environment variables');
    expectDiscreet(outcome);
    const verbose = await get({ ...azure.env('user'), AZURE_LOG_LEVEL: 'verbose' }, '--out ./value2');
    expect(verbose.code).toBe(0);
    expectDiscreet(verbose);
  });

  test('a program gets the secret, and none of the credentials that fetched it', async () => {
    const env = { ...azure.env('user'), AZURE_CLIENT_CERTIFICATE_PASSWORD: 'p', IDENTITY_HEADER: 'h' };
    const { stdout } = await place.sh('secrets exec --no-redact -e PROBE=azure://probe -- env', {
      ...azure.network,
      ...env,
    });
    expect(stdout).toContain(`PROBE=${VALUE}`);
    expect(stdout).not.toMatch(/AZURE_CLIENT_SECRET|CERTIFICATE_PASSWORD|IDENTITY_HEADER/);
  });

  test('Azure’s own identifier is a reference, whatever the store’s names are', async () => {
    azure.vault.set('probe---odd', { value: 'first' });
    const { id } = azure.vault.get('probe---odd', '') as { id: string };
    azure.vault.set('probe---odd', { value: 'second' });
    configure({ azure: { provider: 'azure', names: 'mapped' } });
    const env = { ...azure.network, ...azure.env('user'), AZURE_KEYVAULT_URL: '' };
    const { stdout } = await place.sh(
      `secrets get '${id}'; secrets get '${id.replace(/\/[^/]*$/, '')}'`,
      env,
    );
    expect(stdout).toBe('firstsecond');
  });
});
