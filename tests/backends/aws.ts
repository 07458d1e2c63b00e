/** Starts moto, corrected, with its IAM enforcement on: an administrator's keys and a user's without rights. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { type RotationFunctions, startFunctions } from './functions.ts';
import { type Server, startServer, WORK_DIR } from './server.ts';

const PYTHON = join(WORK_DIR, 'moto-venv', 'bin', 'python');
export const scenarioFiles: readonly string[] = [PYTHON];

export type Env = Readonly<Record<string, string>>;

export interface Aws extends Server {
  /** The Lambda functions that Secrets Manager may call. */
  readonly functions: RotationFunctions;
  /** The environment of an administrator. */
  readonly admin: Env;
  /** The environment of a user that may do nothing. */
  readonly nobody: Env;
  /** The environment of a new user with this policy. */
  makeUser(name: string, policy: object): Promise<Env>;
  /** The ARN of a new role with this policy. */
  makeRole(name: string, policy: object): Promise<string>;
}

export async function startAws(): Promise<Aws> {
  const functions = await startFunctions();
  const server = await startServer({
    command: PYTHON,
    // Its modules stand among the sources, where nothing is to be written.
    env: { ROTATION_FUNCTIONS: functions.url, PYTHONDONTWRITEBYTECODE: '1' },
    args: (port) => [
      fileURLToPath(new URL('moto/server.py', import.meta.url)),
      '-H',
      '127.0.0.1',
      '-p',
      `${port}`,
    ],
  });
  const env = (id: string, key: string): Env => ({
    AWS_ENDPOINT_URL: server.url,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: id,
    AWS_SECRET_ACCESS_KEY: key,
  });
  const admin = await makeUser(server.url, 'admin', policy('Allow'));
  const nobody = await makeUser(server.url, 'nobody', policy('Deny'));
  await enforceIam(server.url, true);
  return {
    ...server,
    functions,
    stop: async () => {
      await server.stop();
      await functions.stop();
    },
    admin: env(...admin),
    nobody: env(...nobody),
    makeUser: (name, document) =>
      unenforced(server.url, async () => env(...(await makeUser(server.url, name, document)))),
    makeRole: (name, document) => unenforced(server.url, () => makeRole(server.url, name, document)),
  };
}

function policy(effect: 'Allow' | 'Deny'): object {
  return { Version: '2012-10-17', Statement: [{ Effect: effect, Action: '*', Resource: '*' }] };
}

async function enforceIam(url: string, enforced: boolean): Promise<void> {
  await fetch(`${url}/moto-api/reset-auth`, { method: 'POST', body: enforced ? '0' : '1000000' });
}

/** Preparations are made while IAM is not enforced, so that they need no signature. */
async function unenforced<T>(url: string, work: () => Promise<T>): Promise<T> {
  await enforceIam(url, false);
  try {
    return await work();
  } finally {
    await enforceIam(url, true);
  }
}

/** A request of the query protocol that IAM and STS speak. */
async function iam(url: string, parameters: Record<string, string>): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization:
        'AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x',
    },
    body: new URLSearchParams({ Version: '2010-05-08', ...parameters }).toString(),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${parameters['Action']}: ${response.status} ${text}`);
  return text;
}

async function makeUser(url: string, name: string, document: object): Promise<[string, string]> {
  const UserName = name;
  await iam(url, { Action: 'CreateUser', UserName });
  const PolicyDocument = JSON.stringify(document);
  await iam(url, { Action: 'PutUserPolicy', UserName, PolicyName: 'own', PolicyDocument });
  const made = await iam(url, { Action: 'CreateAccessKey', UserName });
  const part = (tag: string): string => new RegExp(`<${tag}>([^<]+)</${tag}>`).exec(made)?.[1] ?? '';
  return [part('AccessKeyId'), part('SecretAccessKey')];
}

/** A role that anyone who may call AssumeRole may assume. @returns its ARN */
async function makeRole(url: string, name: string, document: object): Promise<string> {
  const RoleName = name;
  const trust = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }],
  };
  const AssumeRolePolicyDocument = JSON.stringify(trust);
  const made = await iam(url, { Action: 'CreateRole', RoleName, AssumeRolePolicyDocument });
  const PolicyDocument = JSON.stringify(document);
  await iam(url, { Action: 'PutRolePolicy', RoleName, PolicyName: 'own', PolicyDocument });
  return /<Arn>([^<]+)</.exec(made)?.[1] ?? '';
}

export async function startForScenarios(): Promise<{ readonly env: Env; stop(): Promise<void> }> {
  const aws = await startAws();
  return { env: aws.admin, stop: () => aws.stop() };
}
