/** `secrets doctor --plugin`: finds the program and has it tried out. */
import { resolve } from 'node:path';
import { parseDuration } from '../../core/duration.ts';
import { SecretsError } from '../../core/errors.ts';
import { findProgram } from '../../platform/find-program.ts';
import type { Finding } from '../../providers/provider.ts';
import { tryPlugin } from '../../providers/exec/conformance.ts';
import { findPlugin, pluginEnvironment } from '../../providers/exec/find.ts';
import { PLUGIN_NAME } from '../../providers/exec/settings.ts';
import type { Session } from '../../session/session.ts';

/** Time for all checks, where `--timeout` does not say otherwise, in milliseconds. */
const TRIAL_MS = 180_000;

/** @throws SecretsError Usage for a program that can't be run, or a setting that is none */
export async function tryPluginOf(
  session: Session,
  program: string,
  settings: readonly string[],
  names: readonly string[],
): Promise<{ readonly title: string; readonly findings: readonly Finding[] }> {
  const { world, options, interrupt } = session;
  const ms = options.timeout === undefined ? TRIAL_MS : parseDuration(options.timeout);
  const { plugin, path } = locate(program, session);
  const start = {
    plugin,
    path,
    store: 'conformance',
    settings: Object.fromEntries(settings.map(splitSetting)),
    env: pluginEnvironment(world.env, names),
  };
  // Not AbortSignal.timeout, which Node 20 may forget: see Session.call.
  const end = new AbortController();
  const stop = (): void => end.abort(interrupt.signal.reason);
  const timer = setTimeout(stop, ms);
  interrupt.signal.addEventListener('abort', stop, { once: true });
  try {
    const findings = await tryPlugin(start, end.signal, (message) => session.debug(message));
    return { title: `plugin ${plugin}`, findings };
  } finally {
    clearTimeout(timer);
    interrupt.signal.removeEventListener('abort', stop);
  }
}

function locate(program: string, { world }: Session): { readonly plugin: string; readonly path: string } {
  if (!program.includes('/')) {
    const plugin = program.replace(/^secrets-provider-/, '');
    if (!PLUGIN_NAME.test(plugin))
      throw new SecretsError(
        'Usage',
        `${JSON.stringify(program.slice(0, 100))} is not the name of a plugin`,
        {
          hint: 'lower-case letters, digits and -; or give the path of the program, with a / in it',
        },
      );
    return { plugin, path: findPlugin(plugin, world.env) };
  }
  const path = resolve(world.cwd, program);
  const found = findProgram(path, undefined, world.cwd);
  if (typeof found === 'string') return { plugin: program.slice(program.lastIndexOf('/') + 1), path: found };
  throw new SecretsError('Usage', `${path} ${found === 126 ? 'is not executable' : 'was not found'}`);
}

function splitSetting(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals <= 0) throw new SecretsError('Usage', `${JSON.stringify(text.slice(0, 100))} is not NAME=VALUE`);
  return [text.slice(0, equals), text.slice(equals + 1)];
}
