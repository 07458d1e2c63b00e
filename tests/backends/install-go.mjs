/** The parts of the installer that build programs with Go. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { here, run, work } from './install-base.mjs';

/** The compiler collects its garbage less often, which takes a quarter off its time, unless it gets too large. */
const COMPILER = { GOGC: '400', GOMEMLIMIT: '2GiB' };

/** The linker drops what a debugger would want, so that the compiler need not write it: a tenth of its time. */
const FLAGS = ['-p', '2', '-trimpath', '-gcflags', 'all=-dwarf=false', '-ldflags', '-s -w'];

const goBuild = (source, program, command = '.', tags = '') =>
  run('go', ['build', ...FLAGS, '-tags', tags, '-o', program, command], {
    cwd: source,
    env: { ...COMPILER, ...process.env },
  });

/** A program of the sources in a folder here, unless it is there and was made of them. */
async function ownProgram(name, said = `building ${name}`) {
  const source = join(here, name);
  const hash = createHash('sha256');
  for (const file of readdirSync(source).toSorted()) hash.update(readFileSync(join(source, file)));
  const made = hash.digest('hex');
  const program = join(work, name);
  const stamp = `${program}.sha256`;
  if (existsSync(program) && existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return;
  process.stderr.write(`${said}\n`);
  await goBuild(source, program);
  writeFileSync(stamp, made);
}

export const vault = () => ownProgram('vault-server', 'building Vault; this takes some minutes');

/** A program around External Secrets' provider for Vault. */
export const externalSecrets = () => ownProgram('external-secrets');

/** What checks the workflow of examples/schedules. */
export async function actionlint() {
  const source = join(here, 'actionlint');
  const version = /actionlint (v\S+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8'))[1];
  const program = join(work, `actionlint-${version}`);
  if (existsSync(program)) return;
  await goBuild(source, program);
}

/** The readers of env files that are written in Go: compose-go and godotenv. */
export async function envReaders() {
  const source = join(here, 'env-readers');
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(source, file)));
  const program = join(work, `env-readers-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return;
  await goBuild(source, program);
  rmSync(join(work, 'env-readers'), { force: true });
  symlinkSync(program, join(work, 'env-readers'));
}

/** What reads the provider of `secrets terraform`. Its version is in go.mod, its sources are pinned by go.sum. */
export async function openTofu() {
  const source = join(here, 'opentofu');
  const version = /opentofu\/opentofu (v\S+)/.exec(readFileSync(join(source, 'go.mod'), 'utf8'))[1];
  const program = join(work, `tofu-${version}`);
  if (existsSync(program)) return;
  process.stderr.write('building OpenTofu; this takes some minutes\n');
  await goBuild(source, program, 'github.com/opentofu/opentofu/cmd/tofu');
}

/** A program that reads from Vault, of the module in this folder; go.sum pins its sources. */
async function goTool(folder, module, name, { into = '.', tags } = {}) {
  const source = join(here, folder);
  const version = new RegExp(`${module} (v[\\d.]+)`).exec(readFileSync(join(source, 'go.mod'), 'utf8'))[1];
  const program = join(work, `${name}-${version}`, into);
  if (!existsSync(program)) await goBuild(source, program, `github.com/${module}`, tags);
}

/** Vault's own command line, without the engines of its server. It shares most packages with the server above. */
export const vaultCli = () => goTool('vault-cli', 'hashicorp/vault', 'vault-cli', { tags: 'minimal' });

export const consulTemplate = () => goTool('consul-template', 'hashicorp/consul-template', 'consul-template');

/** HashiCorp's provider for Vault, in a folder of its own, which a development override names. */
export const vaultProvider = () =>
  goTool('vault-provider', 'terraform-providers/terraform-provider-vault', 'vault-provider', {
    into: 'terraform-provider-vault',
  });
