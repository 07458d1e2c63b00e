/** Finds a plugin's program, and selects its environment variables. */
import { isAbsolute, join } from 'node:path';
import { SecretsError } from '../../core/errors.ts';
import { findProgram } from '../../platform/find-program.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Variables that every plugin gets: folders, user, language and network settings. */
const ALLOWED =
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|XDG_[A-Z_]+|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$/;

export const programOf = (plugin: string): string => `secrets-provider-${plugin}`;

/** The absolute folders of PATH, so that nothing in the working directory is ever run. */
function foldersOf(env: Env): readonly string[] {
  return (env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin').split(':').filter((folder) => isAbsolute(folder));
}

/** The path of a plugin's program. @throws SecretsError Usage if there is none, or it can't be run */
export function findPlugin(plugin: string, env: Env): string {
  const program = programOf(plugin);
  let blocked: string | undefined;
  for (const folder of foldersOf(env)) {
    const path = join(folder, program);
    const found = findProgram(path, undefined, '/');
    if (typeof found === 'string') return found;
    if (found === 126) blocked ??= path;
  }
  if (blocked !== undefined)
    throw new SecretsError('Usage', `the plugin ${plugin} is not executable: ${blocked}`, {
      hint: `chmod +x ${blocked}`,
    });
  throw new SecretsError('Usage', `the plugin ${plugin} is not installed: no ${program} on PATH`, {
    hint: 'install it in an absolute folder of PATH; relative ones are not searched',
  });
}

/** The environment of a plugin: the allow list and the store's `env`. Nothing of `secrets`' own. */
export function pluginEnvironment(env: Env, names: readonly string[]): Record<string, string> {
  const more = new Set(names);
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || name.startsWith('SECRETS_')) continue;
    if (ALLOWED.test(name) || more.has(name)) given[name] = value;
  }
  given['PATH'] = foldersOf(env).join(':');
  return given;
}
