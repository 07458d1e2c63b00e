/**
 * The provider in a folder from which OpenTofu and Terraform install providers (a filesystem mirror). The program that
 * they install is a script, the same for everybody: its hash in a lock file is right on every machine of a team.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { version } from '../core/version.ts';
import { fileError, isMissing, removeFile } from '../platform/files.ts';

/**
 * No registry has this host: names under `.localhost` are nobody's (RFC 6761), so a provider of the same name can't
 * come from elsewhere.
 */
const HOST = 'secrets.localhost';
export const SOURCE = `${HOST}/cli/secrets`;

/** The mirror that both programs look into without being told, in the user's home. */
export const DEFAULT_MIRROR = '.terraform.d/plugins';

/** As Go names them. A lock file that is made for one platform lists the others too, if asked. */
const PLATFORMS = ['darwin_amd64', 'darwin_arm64', 'linux_amd64', 'linux_arm64'] as const;

const MODE = 0o755;

// Only what a provider prints on stdout is shown when it doesn't start.
const SCRIPT = `#!/bin/sh
# The provider of secrets for OpenTofu and Terraform. Written by: secrets terraform install
program=\${SECRETS_PROGRAM:-secrets}
if ! command -v "$program" >/dev/null; then
  echo "$program is not on PATH: install it, or set SECRETS_PROGRAM to its path"
  exit 127
fi
exec "$program" terraform serve
`;

/** The paths of the provider in a mirror, one for each platform. */
export function providerPaths(mirror: string): readonly string[] {
  return PLATFORMS.map((platform) =>
    join(mirror, SOURCE, version, platform, `terraform-provider-secrets_v${version}`),
  );
}

/** Whether the provider is there as this version would write it. */
export function isInstalled(path: string): boolean {
  try {
    return readFileSync(path, 'utf8') === SCRIPT && (statSync(path).mode & 0o777) === MODE;
  } catch (thrown) {
    if (isMissing(thrown)) return false;
    throw fileError(thrown, 'cannot read the provider', path);
  }
}

/** Not private: a mirror may be for every user of a machine, and nothing in it is secret. */
export function install(path: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    makeFolders(dirname(path));
    writeFileSync(temporary, SCRIPT, { flag: 'wx', mode: MODE });
    try {
      // Whatever the umask is.
      chmodSync(temporary, MODE);
      renameSync(temporary, path);
    } catch (thrown) {
      removeFile(temporary);
      throw thrown;
    }
  } catch (thrown) {
    throw fileError(thrown, 'cannot install the provider', path);
  }
}

/** Whatever the umask is, as for the program itself. Folders that are there stay as they are. */
function makeFolders(folder: string): void {
  const first = mkdirSync(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) chmodSync(made, MODE);
}

/** The block that a configuration needs. */
export function requiredProviders(): string {
  const [major, minor] = version.split('.');
  return `terraform {
  required_providers {
    secrets = {
      source  = "${SOURCE}"
      version = "~> ${major}.${minor}"
    }
  }
}
`;
}

/** The block that a CLI configuration needs, if the mirror isn't the usual one or it has such a block already. */
export function providerInstallation(mirror: string): string {
  return `provider_installation {
  filesystem_mirror {
    path    = ${JSON.stringify(mirror).replaceAll(/[$%](?=\{)/g, '$&$&')}
    include = ["${HOST}/*/*"]
  }
  direct {
    exclude = ["${HOST}/*/*"]
  }
}
`;
}
