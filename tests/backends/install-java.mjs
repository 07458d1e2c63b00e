/** The part of the installer that fetches libraries of Java, and builds with them. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { here, run, work } from './install-base.mjs';

const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** A program around Spring Vault, with the libraries of pom.xml, each by its hash in jars.sha256. */
export async function springVault() {
  const source = join(here, 'spring-vault');
  const made = sha256(
    ['Main.java', 'jars.sha256', 'pom.xml'].map((name) => readFileSync(join(source, name))).join(),
  );
  const folder = join(work, 'spring-vault');
  const stamp = join(folder, `made-of-${made.slice(0, 16)}`);
  if (existsSync(stamp)) return;
  const missing = ['mvn', 'javac'].filter((name) => spawnSync(name, ['--version']).status !== 0);
  if (missing.length > 0) {
    process.stderr.write(
      `Spring Vault is not installed (no ${missing.join(', no ')}); its tests are skipped\n`,
    );
    return;
  }
  rmSync(folder, { recursive: true, force: true });
  const [jars, repository] = [join(folder, 'jars'), join(folder, 'repository')];
  await run('mvn', [
    ...[
      '--batch-mode',
      '--quiet',

      `-Dmaven.repo.local=${repository}`,
      '-f',
      join(source, 'pom.xml'),
    ],
    'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
    ...['-DincludeScope=runtime', `-DoutputDirectory=${jars}`],
  ]);
  rmSync(repository, { recursive: true });
  const found = readdirSync(jars)
    .toSorted()
    .map((name) => `${sha256(readFileSync(join(jars, name)))}  ${name}\n`);
  if (found.join('') !== readFileSync(join(source, 'jars.sha256'), 'utf8'))
    throw new Error(`the libraries in ${jars} are not those of spring-vault/jars.sha256`);
  await run('javac', ['-cp', `${jars}/*`, '-d', join(folder, 'classes'), join(source, 'Main.java')]);
  writeFileSync(stamp, '');
}
