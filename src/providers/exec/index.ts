/** The entry of the plugin provider: finds the program, starts it, and negotiates the protocol version. */
import { SecretsError } from '../../core/errors.ts';
import { version } from '../../core/version.ts';
import type { CallOptions } from '../call.ts';
import type { ProviderContext } from '../descriptor.ts';
import type { StoreSettings } from '../../core/trust.ts';
import { Connection } from './connection.ts';
import { findPlugin, pluginEnvironment } from './find.ts';
import { LIMITS, maxLine, PROTOCOL } from './protocol.ts';
import { ExecProvider, type Hello } from './provider.ts';
import type { ExecSettings } from './settings.ts';

/** The program to start, and its settings. */
export interface PluginStart {
  /** The plugin's name, for messages. */
  readonly plugin: string;
  readonly path: string;
  readonly store: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string>>;
  readonly onErrorOutput?: (chunk: Buffer) => void;
}

/** @throws SecretsError Usage without such a plugin, Unavailable for a plugin that doesn't start or answer */
export async function open(
  settings: StoreSettings,
  context: ProviderContext,
  options: CallOptions = { signal: AbortSignal.timeout(LIMITS.helloMs) },
): Promise<ExecProvider> {
  const { plugin, settings: told = {}, env = [] } = settings as ExecSettings;
  if (plugin === undefined)
    throw new SecretsError('Usage', `the store ${context.store} names no plugin`, {
      hint: 'in secrets.yaml: NAME: { provider: exec, plugin: PLUGIN }',
    });
  const start: PluginStart = {
    plugin,
    path: findPlugin(plugin, context.env),
    store: context.store,
    settings: told,
    env: pluginEnvironment(context.env, env),
  };
  return startPlugin(start, options, context.debug);
}

/** @throws SecretsError Unavailable, Unsupported for another version of the protocol */
export async function startPlugin(
  { store, settings, ...start }: PluginStart,
  options: CallOptions,
  debug: (message: string) => void,
): Promise<ExecProvider> {
  const connection = new Connection(start);
  try {
    const hello = await shakeHands(connection, start.plugin, { store, settings }, options);
    connection.maxLine = maxLine(hello.rules.maxValueBytes);
    return new ExecProvider(start.plugin, connection, hello, debug);
  } catch (thrown) {
    await connection.close();
    if (connection.errorBytes > 0)
      debug(`the plugin ${start.plugin} wrote ${connection.errorBytes} bytes to stderr, which are not shown`);
    throw thrown;
  }
}

async function shakeHands(
  connection: Connection,
  plugin: string,
  told: Pick<PluginStart, 'store' | 'settings'>,
  { signal, deadline = Infinity }: CallOptions,
): Promise<Hello> {
  const hello = await connection.request(
    'hello',
    { protocol: PROTOCOL, client: { name: 'secrets', version }, ...told },
    { signal, deadline: Math.min(deadline, Date.now() + LIMITS.helloMs) },
  );
  const { protocol } = hello;
  if (protocol < PROTOCOL.min || protocol > PROTOCOL.max) {
    const ours: readonly number[] = [...new Set([PROTOCOL.min, PROTOCOL.max])];
    throw new SecretsError(
      'Unsupported',
      `the plugin ${plugin} speaks version ${protocol} of the protocol; this program speaks ${ours.join(' to ')}`,
      { hint: protocol > PROTOCOL.max ? 'update secrets' : 'update the plugin' },
    );
  }
  return hello;
}
