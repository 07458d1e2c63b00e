/** Programs that read from Vault, as their makers build them. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WORK_DIR } from './server.ts';

/** The version of a program that the installer builds from a module of this folder. */
function built(folder: string, module: string, name: string): string {
  const file = fileURLToPath(new URL(`${folder}/go.mod`, import.meta.url));
  const version = new RegExp(`${module} (v[\\d.]+)`).exec(readFileSync(file, 'utf8'))?.[1] ?? '';
  return join(WORK_DIR, `${name}-${version}`);
}

export const CONSUL_TEMPLATE = built('consul-template', 'hashicorp/consul-template', 'consul-template');
export const TOFU = built('opentofu', 'opentofu/opentofu', 'tofu');
/** A folder with HashiCorp's provider for Vault in it. */
export const VAULT_PROVIDER = built('vault-provider', 'terraform-provider-vault', 'vault-provider');
/** Vault's own command line. */
export const VAULT_CLI = built('vault-cli', 'hashicorp/vault', 'vault-cli');
/** A program around External Secrets' provider for Vault. */
export const EXTERNAL_SECRETS = join(WORK_DIR, 'external-secrets');
/** Folders of a program around Spring Vault, for Java's class path. */
export const SPRING_VAULT = ['classes', 'jars'].map((name) => join(WORK_DIR, 'spring-vault', name));
/** Python with hvac. */
export const PYTHON = join(WORK_DIR, 'ansible-venv/bin/python');
export const ANSIBLE = join(WORK_DIR, 'ansible-venv/bin/ansible-playbook');
export const COLLECTIONS = join(WORK_DIR, 'ansible-venv/collections');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with nothing of this process's environment but PATH. */
export function runClient(
  command: string,
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly cwd?: string; readonly input?: string },
): Promise<Ended> {
  const { env, cwd, input = '' } = options;
  const child = spawn(command, [...args], {
    ...(cwd !== undefined && { cwd }),
    env: { PATH: process.env['PATH'] ?? '', ...env },
    timeout: 120_000,
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}
