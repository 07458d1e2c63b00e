/** Starts the test double of Azure Key Vault and Microsoft Entra ID, with the vaults and principals of the tests. */
import { execFileSync } from 'node:child_process';
import { createSign, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Arm, ARM_HOST } from './azure/arm.ts';
import { type Application, Entra, type Principal } from './azure/entra.ts';
import { LOGS_HOST, Workspace } from './azure/logs.ts';
import { type AzureServer, type Role, startServer } from './azure/server.ts';
import { Vault } from './azure/vault.ts';
import { makeCertificate as makeServerCertificate } from './tls.ts';

export type Env = Readonly<Record<string, string>>;

/** Where `openssl` is, or where it would be. */
const OPENSSL =
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'openssl'))
    .find((path) => {
      try {
        execFileSync(path, ['version'], { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    }) ?? '/usr/bin/openssl';
export const scenarioFiles: readonly string[] = [OPENSSL];

export const TENANT = '11111111-1111-4111-8111-111111111111';
export const OTHER_TENANT = '22222222-2222-4222-8222-222222222222';
const PASSWORD = 'certificate password';
const ISSUER = 'https://cluster.example/oidc';

export interface Azure {
  readonly server: AzureServer;
  readonly entra: Entra;
  /** An ordinary vault, and one with purge protection and a retention of 7 days. */
  readonly vault: Vault;
  readonly guarded: Vault;
  /** Where the vaults' logs go, and are asked for. */
  readonly workspace: Workspace;
  /** Azure Resource Manager; the officer is its administrator. */
  readonly arm: Arm;
  /** Object id of the application of a role. */
  objectId(role: Role | 'nobody'): string;
  readonly caFile: string;
  readonly tls: { readonly key: string; readonly cert: string };
  readonly folder: string;
  readonly certificate: { readonly file: string; readonly lockedFile: string; readonly password: string };
  readonly identity: Principal;
  readonly user: Principal;
  readonly tokenFile: string;
  /** Every principal's secrets, to look for where they don't belong. */
  readonly secrets: readonly string[];
  /** Variables with which an application of this role signs in, and reaches the server. */
  env(role: Role | 'nobody'): Env;
  /** Variables with which the server is reached, without any credential. */
  readonly network: Env;
  /** Id of the application of a role. */
  clientId(role: Role | 'nobody'): string;
  /** Writes a program named `az` that prints the user's token; its folder. */
  makeAzureCli(script?: string): string;
  stop(): Promise<void>;
}

export async function startAzure(): Promise<Azure> {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-azure-'));
  const suffixes = {
    'vault.azure.net': 'login.microsoftonline.com',
    'vault.azure.cn': 'login.chinacloudapi.cn',
    'vault.usgovcloudapi.net': 'login.microsoftonline.us',
    'vault.example.test': 'login.example.test',
  };
  // Where msal itself goes in China.
  const otherAuthorities = ['login.partner.microsoftonline.cn'];
  const tls = makeServerCertificate(
    ...Object.keys(suffixes).map((suffix) => `*.${suffix}`),
    ...Object.values(suffixes),
    ...otherAuthorities,
    LOGS_HOST,
    ARM_HOST,
  );
  const at = (name: string): string => join(folder, name);
  const caFile = at('ca.pem');
  writeFileSync(caFile, tls.cert);
  const certificate = makeCertificate(at);
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const tokenFile = at('federated-token');
  writeFileSync(tokenFile, federatedToken(privateKey), { mode: 0o600 });

  const entra = new Entra();
  entra.tenants.push(TENANT, OTHER_TENANT);
  entra.resources.push(...Object.keys(suffixes).map((suffix) => `https://${suffix}`));
  entra.resources.push(`https://${LOGS_HOST}`);
  entra.resources.push(`https://${ARM_HOST}`);
  const arm = new Arm();
  const workspace = new Workspace();
  const roles = new Map<string, Role>();
  const applications = new Map<string, Application>();
  for (const role of ['officer', 'user', 'reader', 'writer', 'officer-without-purge', 'nobody'] as const) {
    const application: Application = {
      objectId: randomUUID(),
      clientId: randomUUID(),
      tenant: TENANT,
      secrets: [`secret-of-${role}-${randomUUID()}`],
      certificates: [certificate.pem],
      federated: [{ issuer: ISSUER, subject: 'system:serviceaccount:apps:web', key: publicKey }],
    };
    entra.applications.push(application, { ...application, tenant: OTHER_TENANT });
    applications.set(role, application);
    if (role !== 'nobody') roles.set(application.objectId, role);
    arm.directory.set(application.objectId, 'ServicePrincipal');
    if (role === 'officer') arm.administrators.add(application.objectId);
    if (role === 'officer') workspace.readers.add(application.objectId);
  }
  const identity = { objectId: randomUUID(), clientId: randomUUID(), tenant: TENANT };
  const user = { objectId: randomUUID(), tenant: TENANT, upn: 'ada@example.test' };
  roles.set(identity.objectId, 'user');
  roles.set(user.objectId, 'user');

  const make = (name: string, suffix: string, more = {}): Vault =>
    new Vault({ name, suffix, tenant: TENANT, retentionDays: 90, purgeProtection: false, ...more });
  const vault = make('tests', 'vault.azure.net');
  const guarded = make('guarded', 'vault.azure.net', { retentionDays: 7, purgeProtection: true });
  const others = [
    ...['vault.azure.cn', 'vault.usgovcloudapi.net', 'vault.example.test'].map((suffix) =>
      make('tests', suffix),
    ),
    make('foreign', 'vault.azure.net', { tenant: OTHER_TENANT }),
  ];
  const server = await startServer({
    tls,
    entra,
    vaults: [vault, guarded, ...others],
    authorities: suffixes,
    otherAuthorities,
    roles,
    workspace,
    arm,
  });
  const network = {
    HTTPS_PROXY: server.proxyUrl,
    NO_PROXY: '127.0.0.1,localhost',
    NODE_EXTRA_CA_CERTS: caFile,
    AZURE_KEYVAULT_URL: vault.url,
  };
  return {
    server,
    entra,
    vault,
    guarded,
    workspace,
    arm,
    objectId: (role) => applications.get(role)?.objectId ?? '',
    caFile,
    tls,
    folder,
    certificate: { file: certificate.file, lockedFile: certificate.lockedFile, password: PASSWORD },
    identity,
    user,
    tokenFile,
    secrets: [...applications.values()].flatMap(({ secrets }) => secrets).concat(PASSWORD),
    network,
    clientId: (role) => applications.get(role)?.clientId ?? '',
    env: (role) => ({
      ...network,
      AZURE_TENANT_ID: TENANT,
      AZURE_CLIENT_ID: applications.get(role)?.clientId ?? '',
      AZURE_CLIENT_SECRET: applications.get(role)?.secrets[0] ?? '',
    }),
    makeAzureCli: (script) => {
      const bin = mkdtempSync(join(folder, 'bin-'));
      const expires = Math.floor(Date.now() / 1000) + 3600;
      const token = {
        accessToken: entra.issue(user, 'https://vault.azure.net'),
        expires_on: expires,
        tokenType: 'Bearer',
      };
      writeFileSync(join(bin, 'az'), `#!/bin/sh\n${script ?? `echo '${JSON.stringify(token)}'`}\n`);
      chmodSync(join(bin, 'az'), 0o755);
      return bin;
    },
    stop: async () => {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A certificate with its key in one PEM file, and the same with the key under a password. */
function makeCertificate(at: (name: string) => string): { pem: string; file: string; lockedFile: string } {
  const openssl = (...args: string[]): void => {
    execFileSync(OPENSSL, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  openssl(
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=application'],
    ...['-keyout', at('app.key'), '-out', at('app.crt')],
  );
  openssl(
    ...['pkcs8', '-topk8', '-in', at('app.key'), '-out', at('app.locked'), '-passout', `pass:${PASSWORD}`],
  );
  const read = (name: string): string => readFileSync(at(name), 'utf8');
  const pem = read('app.crt');
  writeFileSync(at('app.pem'), read('app.key') + pem, { mode: 0o600 });
  writeFileSync(at('app-locked.pem'), read('app.locked') + pem, { mode: 0o600 });
  return { pem, file: at('app.pem'), lockedFile: at('app-locked.pem') };
}

/** A token as a Kubernetes cluster gives it to a pod's service account. */
function federatedToken(key: KeyObject): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: ISSUER,
    sub: 'system:serviceaccount:apps:web',
    aud: 'api://AzureADTokenExchange',
    iat: now,
    nbf: now,
    exp: now + 3600,
  };
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createSign('sha256').update(text).sign(key).toString('base64url')}`;
}

/** The environment in which the store `azure` is the test vault, with names mapped as the scenarios' names need. */
export async function startForScenarios(): Promise<{ env: Env; stop(): Promise<void> }> {
  const azure = await startAzure();
  // The user's own configuration is trusted, as a project's would have to be.
  const config = join(azure.folder, 'config');
  mkdirSync(join(config, 'secrets'), { recursive: true, mode: 0o700 });
  writeFileSync(
    join(config, 'secrets', 'secrets.yaml'),
    'stores:\n  azure: { provider: azure, names: mapped }\n',
    { mode: 0o600 },
  );
  return { env: { ...azure.env('officer'), XDG_CONFIG_HOME: config }, stop: azure.stop };
}

/** As for the scenarios, without any file of settings: plain names. */
export async function startForBench(): Promise<{ env: Env; stop(): Promise<void> }> {
  const azure = await startAzure();
  return { env: azure.env('officer'), stop: azure.stop };
}
