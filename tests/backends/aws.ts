/** Starts moto, corrected, with its IAM enforcement on: an administrator's keys and a user's without rights. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { type Server, startServer, WORK_DIR } from './server.ts';

const PYTHON = join(WORK_DIR, 'moto-venv', 'bin', 'python');
export const scenarioFiles: readonly string[] = [PYTHON];

export type Env = Readonly<Record<string, string>>;

export interface Aws extends Server {
  /** The environment of an administrator. */
  readonly admin: Env;
  /** The environment of a user that may do nothing. */
  readonly nobody: Env;
}

export async function startAws(): Promise<Aws> {
  const server = await startServer({
    command: PYTHON,
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
  const admin = await makeUser(server.url, 'admin', 'Allow');
  const nobody = await makeUser(server.url, 'nobody', 'Deny');
  await fetch(`${server.url}/moto-api/reset-auth`, { method: 'POST', body: '0' });
  return { ...server, admin: env(...admin), nobody: env(...nobody) };
}

/** A user whose policy allows or denies everything, made through IAM's query API while it is not enforced yet. */
async function makeUser(url: string, name: string, effect: 'Allow' | 'Deny'): Promise<[string, string]> {
  const iam = async (parameters: Record<string, string>): Promise<string> => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization:
          'AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x',
      },
      body: new URLSearchParams({ Version: '2010-05-08', UserName: name, ...parameters }).toString(),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${parameters['Action']}: ${response.status} ${text}`);
    return text;
  };
  const statement = { Effect: effect, Action: '*', Resource: '*' };
  await iam({ Action: 'CreateUser' });
  await iam({
    Action: 'PutUserPolicy',
    PolicyName: 'all',
    PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [statement] }),
  });
  const made = await iam({ Action: 'CreateAccessKey' });
  const part = (tag: string): string => new RegExp(`<${tag}>([^<]+)</${tag}>`).exec(made)?.[1] ?? '';
  return [part('AccessKeyId'), part('SecretAccessKey')];
}

export async function startForScenarios(): Promise<{ readonly env: Env; stop(): Promise<void> }> {
  const aws = await startAws();
  return { env: aws.admin, stop: () => aws.stop() };
}
