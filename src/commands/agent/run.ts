import { basename } from 'node:path';
import { DEFAULTS } from '../../agent/serving-settings.ts';
import { Serving } from '../../agent/serving.ts';
import { openVaultDoor, type VaultDoor } from '../../agent/vault/door.ts';
import { reasonOf } from '../../audit/recording/reason.ts';
import { inherited } from '../../core/environment/environment.ts';
import { SecretsError, toSecretsError } from '../../core/errors.ts';
import { Guard } from '../../exec/guard.ts';
import { SignalRelay } from '../../exec/signals.ts';
import { type Ended, runInherited, type Start, StartError } from '../../exec/start.ts';
import { checkArguments, unreadableVariables } from '../../exec/text.ts';
import { reportError } from '../../output/report.ts';
import { findProgram } from '../../platform/find-program.ts';
import { sessionCredentials } from '../../session/own-credentials.ts';
import type { Session } from '../../session/session.ts';
import type { Invocation } from '../command.ts';
import { scopeOf, type VaultOptions } from './vault-options.ts';

interface RunOptions extends VaultOptions {
  readonly pristine?: boolean;
  readonly keepCredentials?: boolean;
}

const FAILED_BEFORE_START = 125;

/** Variables of Vault's clients that would send them elsewhere, or in another way. */
const MISLEADING = [
  'VAULT_AGENT_ADDR',
  'VAULT_NAMESPACE',
  'VAULT_PROXY_ADDR',
  'VAULT_HTTP_PROXY',
  'VAULT_WRAP_TTL',
  'VAULT_TOKEN_FILE',
];

export async function run(session: Session, { args, options }: Invocation<RunOptions>): Promise<number> {
  let serving: Serving | undefined;
  let door: VaultDoor | undefined;
  try {
    checkArguments(args);
    const start = await prepare(session, args, options);
    if (typeof start === 'number') {
      await reportError(session.world, notStarted(args[0] ?? '', start), options);
      return start;
    }
    const { read, write } = await scopeOf(session, options);
    serving = new Serving(session, { ...DEFAULTS, write });
    door = await openVaultDoor(
      {
        address: '127.0.0.1:0',
        read,
        write,
        reason: reasonOf(options.reason, session.world.env['SECRETS_REASON']),
      },
      {
        stores: serving,
        world: session.world,
        used: () => undefined,
        warn: (message) => session.warn(message),
        debug: (message) => session.debug(message),
      },
    );
    const ended = await beside({ ...start, env: { ...start.env, ...variablesFor(door, start) } }, session);
    if (ended.signal === 'SIGINT' && ended.interrupted) {
      // A shell ends its script after Ctrl-C only if we die of it too.
      await door.stop();
      await session.close();
      process.kill(process.pid, 'SIGINT');
    }
    return ended.code;
  } catch (thrown) {
    if (session.interrupt.signal.aborted) throw thrown;
    await reportError(session.world, toSecretsError(thrown), options);
    return thrown instanceof StartError ? thrown.code : FAILED_BEFORE_START;
  } finally {
    await door?.stop();
    await serving?.close();
  }
}

/** The program, or the exit code of one that can't be found. */
async function prepare(
  session: Session,
  args: readonly string[],
  { pristine, keepCredentials }: RunOptions,
): Promise<Start | 126 | 127> {
  const { world } = session;
  const withheld = keepCredentials === true ? new Set<string>() : await sessionCredentials(session);
  const env = inherited(world.env, { pristine: pristine === true, withheld });
  const changed = unreadableVariables(env);
  // OpenBao's clients prefer their own.
  const bao = Object.keys(env).filter((name) => name.startsWith('BAO_'));
  for (const name of [...changed, ...MISLEADING, ...bao]) delete env[name];
  if (changed.length > 0)
    session.warn(`not passed to the program, because they are not UTF-8: ${changed.join(', ')}`);
  const [command = '', ...rest] = args;
  const file = findProgram(command, env['PATH'], world.cwd);
  return typeof file === 'number' ? file : { file, argv0: command, args: rest, env };
}

function notStarted(command: string, code: 126 | 127): SecretsError {
  const why = code === 127 ? 'was not found' : 'can’t be executed';
  return new SecretsError('Failed', `the program ${JSON.stringify(command)} ${why}`, {
    hint: code === 127 ? 'check its name and PATH' : 'check its permissions',
  });
}

/** Where the program finds its Vault. A proxy of the network would see the token, so none is used for this address. */
function variablesFor(door: VaultDoor, { argv0, env }: Start): Readonly<Record<string, string>> {
  const proxied = Object.keys(env).some((name) => /^(?:http|all)_proxy$/i.test(name));
  const direct = (name: string): string =>
    [env[name] ?? '', '127.0.0.1'].filter((text) => text !== '').join(',');
  return {
    VAULT_ADDR: door.address,
    VAULT_TOKEN: door.issue(basename(argv0).replaceAll(/[^a-zA-Z0-9-]/g, '-')),
    ...(proxied && { no_proxy: direct('no_proxy'), NO_PROXY: direct('NO_PROXY') }),
  };
}

/** Runs the program on our own streams, with every signal passed on. */
async function beside(start: Start, session: Session): Promise<Ended & { readonly interrupted: boolean }> {
  const guard = new Guard();
  const relay = new SignalRelay((pid) => guard.program(pid));
  session.releaseSignals();
  try {
    const ended = await relay.settle(await runInherited(start, relay));
    return { ...ended, interrupted: relay.interrupted };
  } finally {
    relay.stop();
    guard.stop();
  }
}
