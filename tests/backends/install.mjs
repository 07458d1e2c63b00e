// Installs the servers that the tests talk to, into .work (or $SECRETS_BACKENDS_DIR). What is there already and
// was made from the same sources is kept. Needs Go for Vault and Python 3 for moto and drongo.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const work = process.env.SECRETS_BACKENDS_DIR ?? fileURLToPath(new URL('../../.work', import.meta.url));
mkdirSync(work, { recursive: true });

const run = (command, args, options = {}) => execFileSync(command, args, { stdio: 'inherit', ...options });

function vault() {
  const source = join(here, 'vault-server');
  const hash = createHash('sha256');
  for (const file of readdirSync(source).toSorted()) hash.update(readFileSync(join(source, file)));
  const made = hash.digest('hex');
  const program = join(work, 'vault-server');
  const stamp = `${program}.sha256`;
  if (existsSync(program) && existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return;
  process.stderr.write('building Vault; this takes some minutes\n');
  run('go', ['build', '-p', '2', '-trimpath', '-ldflags', '-s -w', '-o', program, '.'], { cwd: source });
  writeFileSync(stamp, made);
}

function moto() {
  const venv = join(work, 'moto-venv');
  const python = join(venv, 'bin', 'python');
  const version = '5.2.5';
  const stamp = join(venv, `moto-${version}`);
  if (existsSync(stamp)) return;
  run('python3', ['-m', 'venv', venv]);
  run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `moto[server]==${version}`]);
  writeFileSync(stamp, '');
}

/** An emulator of Google's services by others; the double in tests/backends/gcp needs nothing. */
function drongo() {
  const venv = join(work, 'drongo-venv');
  const version = '0.8.0';
  const stamp = join(venv, `drongo-${version}`);
  if (existsSync(stamp)) return;
  run('python3', ['-m', 'venv', venv]);
  run(join(venv, 'bin', 'python'), [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'],
    `drongo==${version}`,
  ]);
  writeFileSync(stamp, '');
}

drongo();
vault();
if (existsSync(join(here, 'moto'))) moto();
