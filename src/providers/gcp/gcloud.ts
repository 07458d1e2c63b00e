/**
 * Reads gcloud's settings on this machine: its folder and its configured project. Only reads files; gcloud is not run.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProviderContext } from '../descriptor.ts';

type Place = Pick<ProviderContext, 'env' | 'home'>;

/** Source: https://cloud.google.com/sdk/docs/configurations */
function gcloudFolder({ env, home }: Place): string {
  const { CLOUDSDK_CONFIG: named, APPDATA: roaming } = env;
  if (named !== undefined && named !== '') return named;
  return process.platform === 'win32' && roaming ? join(roaming, 'gcloud') : join(home, '.config', 'gcloud');
}

/** The file that `gcloud auth application-default login` writes. */
export function defaultCredentialsFile(place: Place): string {
  return join(gcloudFolder(place), 'application_default_credentials.json');
}

/** `core/project` of the active configuration. */
export function gcloudProject(place: Place): string | undefined {
  const folder = gcloudFolder(place);
  const { CLOUDSDK_ACTIVE_CONFIG_NAME: named } = place.env;
  const active = named || read(join(folder, 'active_config'))?.trim() || 'default';
  if (!/^[a-z][-a-z0-9]*$/i.test(active)) return undefined;
  let section = '';
  for (const line of (read(join(folder, 'configurations', `config_${active}`)) ?? '').split('\n')) {
    section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim() ?? section;
    const value = /^\s*project\s*=\s*(\S+)\s*$/.exec(line)?.[1];
    if (section === 'core' && value !== undefined) return value;
  }
  return undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
