import { isAbsolute, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { singleLine } from '../../core/text/sanitize.ts';
import { version } from '../../core/version.ts';
import { findProgram } from '../../platform/find-program.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Session } from '../../session/session.ts';
import {
  DEFAULT_MIRROR,
  install,
  isInstalled,
  providerInstallation,
  providerPaths,
  requiredProviders,
  SOURCE,
} from '../../terraform/mirror.ts';
import type { Invocation } from '../command.ts';

interface InstallOptions extends CommonOptions {
  readonly mirror?: string;
  readonly dryRun?: boolean;
}

export async function run(session: Session, { options }: Invocation<InstallOptions>): Promise<void> {
  const { world } = session;
  if (process.platform === 'win32')
    throw new SecretsError('Unsupported', 'the provider is a shell script, which Windows can’t run', {
      hint: 'use it in WSL',
    });
  const usual = join(world.home, DEFAULT_MIRROR);
  const mirror = mirrorOf(world.cwd, options.mirror) ?? usual;
  const dryRun = options.dryRun === true;
  const written = providerPaths(mirror).filter((path) => !isInstalled(path));
  if (!dryRun) for (const path of written) install(path);
  const program = world.env['SECRETS_PROGRAM'] || undefined;
  if (typeof findProgram(program ?? 'secrets', world.env['PATH'], world.cwd) === 'number')
    session.warn(
      program === undefined
        ? 'secrets is not on PATH, where the provider looks for it; set SECRETS_PROGRAM to its path'
        : 'SECRETS_PROGRAM, which the provider runs, is not a program; set it to the path of secrets',
    );

  if (options.json === true) {
    await session.printJson({ source: SOURCE, version, mirror, written, ...(dryRun && { dryRun }) });
    return;
  }
  if (dryRun) {
    await session.print(written.map((path) => `${singleLine(path)}: would be written\n`).join(''));
    return;
  }
  session.note(written.length > 0 ? `installed in ${mirror}` : `already installed in ${mirror}`);
  await session.print(linesFor(mirror, mirror === usual));
}

function mirrorOf(cwd: string, given: string | undefined): string | undefined {
  if (given === undefined) return undefined;
  if (given === '') throw new SecretsError('Usage', '--mirror takes a folder');
  return isAbsolute(given) ? given : join(cwd, given);
}

function linesFor(mirror: string, usual: boolean): string {
  const when = usual
    ? '# Only if your CLI configuration (~/.tofurc, ~/.terraformrc) has a provider_installation block:'
    : '# In your CLI configuration (~/.tofurc, ~/.terraformrc):';
  return `# In your configuration:\n${requiredProviders()}\n${when}\n${providerInstallation(mirror)}`;
}
