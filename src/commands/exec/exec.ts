import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../../config/config.ts';
import { CONFIG_FILE, findUpward, nearlyNamed } from '../../config/find.ts';
import { checkVariableSize, inherited, variableText } from '../../core/environment/environment.ts';
import { combineErrors, SecretsError, toSecretsError } from '../../core/errors.ts';
import { Masker } from '../../core/redaction/redactor.ts';
import { findProgram } from '../../platform/find-program.ts';
import { Guard } from '../../exec/guard.ts';
import { GrowingMasks } from '../../exec/masks.ts';
import { ChildFiles, removeLeftFolders } from '../../exec/private-files.ts';
import { SignalRelay } from '../../exec/signals.ts';
import { resolveVariables, type SourceOptions, type Variable, type Variables } from '../../exec/sources.ts';
import {
  type Ended,
  type Masks,
  replaceProcess,
  runInherited,
  runMasked,
  type Start,
  StartError,
} from '../../exec/start.ts';
import { loadPty, type Pty, runInTerminal } from '../../exec/terminal.ts';
import { checkArguments, unreadableVariables } from '../../exec/text.ts';
import { supervise } from '../../exec/supervise.ts';
import { useRedactor } from '../../output/confidential.ts';
import { reportError } from '../../output/report.ts';
import { sessionCredentials } from '../../session/own-credentials.ts';
import type { Provider } from '../../providers/provider.ts';
import type { Session } from '../../session/session.ts';
import type { World } from '../../platform/world.ts';
import { maskable, registerWith, Renewing, warnOfShort, type WatchFlags, watchingOf } from './watch.ts';
import type { CommonOptions } from '../../session/options.ts';
import type { Invocation } from '../command.ts';
import type { Prepared } from './prepared.ts';

interface ExecOptions extends CommonOptions, SourceOptions, WatchFlags {
  readonly pristine?: boolean;
  readonly keepCredentials?: boolean;
  readonly redact?: boolean;
  readonly allowEmpty?: boolean;
}

/** As `env` and `timeout` say that they themselves failed. */
const FAILED_BEFORE_START = 125;

export async function run(session: Session, { args, options }: Invocation<ExecOptions>): Promise<number> {
  try {
    const { world } = session;
    useRedactor(Masker);
    removeLeftFolders(world);
    checkArguments(args);
    const watching = watchingOf(options);
    // Only a store that is open here can have its sign-in renewed while the program runs.
    if (options.keepCredentials === true || watching !== undefined) session.stores.leaveAgent();
    const withheld = await sessionCredentials(session);
    await nameProgram(session, args);
    const resolveAgain = (): Promise<Variables> => resolveVariables(session, options, withheld);
    const ready = (found: Variables): Prepared =>
      asDecided(session, prepare(session, args, options, found, withheld));
    const variables = await resolveAgain();
    // What is read later is read because it has changed.
    session.stores.leaveAgent();
    const start = ready(variables);
    if (options.allowEmpty !== true && variables.list.length + variables.missing.length === 0)
      throw nothingFound(session, await session.config(), options);
    watching?.check(start);
    const renewing =
      watching && new Renewing(session, watching, { resolve: resolveAgain, ready }, variables, start);
    return await launch(session, start, options, variables.list, renewing);
  } catch (thrown) {
    // The user's Ctrl-C before the start: the program's frame gives 130.
    if (session.interrupt.signal.aborted) throw thrown;
    await reportError(session.world, toSecretsError(thrown), options);
    return thrown instanceof StartError || thrown instanceof LookupError ? thrown.code : FAILED_BEFORE_START;
  }
}

/** Policies may be about the program, so they are told which it is, as the user's own PATH has it. */
async function nameProgram(session: Session, [command = '']: readonly string[]): Promise<void> {
  const { judge } = await session.stores.policies.known();
  if (judge === undefined) return;
  const { env, cwd } = session.world;
  const file = findProgram(command, env['PATH'], cwd);
  session.run.program = typeof file === 'string' ? realpathSync(resolve(cwd, file)) : command;
}

/** @throws SecretsError Policy if it isn't the program that the policies were asked about */
function asDecided(session: Session, prepared: Prepared): Prepared {
  const { run, world } = session;
  if (run.program === undefined || realpathSync(resolve(world.cwd, prepared.file)) === run.program)
    return prepared;
  throw new SecretsError(
    'Policy',
    `the policies were asked about ${run.program}, and this would start ${prepared.file}`,
    {
      hint: 'leave PATH out of the variables',
    },
  );
}

/** Why there is nothing to start the program with. */
function nothingFound(session: Session, { file }: Config, { project, profile }: ExecOptions): SecretsError {
  const asked =
    'name variables with -e, --from or secrets.yaml, or pass --allow-empty if the program needs none';
  const fail = (why: string): SecretsError =>
    new SecretsError('Usage', `no variables for the program: ${why}`, { hint: asked });
  if (project === false) return fail('--no-project ignores secrets.yaml');
  if (file !== undefined)
    return fail(`${file} sets none${profile === undefined ? '' : ` in profile ${profile}`}`);
  const { stopped = 'at the working directory' } = findUpward(session.world);
  const near = nearlyNamed(session.world.cwd);
  const other = near === undefined ? '' : `; ${near} is not read, it must be named ${CONFIG_FILE}`;
  return fail(
    `no ${CONFIG_FILE} from ${session.world.cwd} upward, where the search stopped ${stopped}${other}`,
  );
}

/** The program is not there, or not one. */
class LookupError extends SecretsError {
  readonly code: number;

  constructor(command: string, code: 126 | 127) {
    const why = code === 127 ? 'was not found' : 'can’t be executed';
    super('Failed', `the program ${JSON.stringify(command)} ${why}`, {
      hint: code === 127 ? 'check its name and PATH' : 'check its permissions',
    });
    this.code = code;
  }
}

function prepare(
  session: Session,
  args: readonly string[],
  options: ExecOptions,
  { list, missing }: Variables,
  withheld: ReadonlySet<string>,
): Prepared {
  const { world } = session;
  const env = inherited(world.env, {
    pristine: options.pristine === true,
    withheld: options.keepCredentials === true ? new Set() : withheld,
  });
  const changed = unreadableVariables(env);
  for (const name of changed) delete env[name];
  if (changed.length > 0)
    session.warn(`not passed to the program, because they are not UTF-8: ${changed.join(', ')}`);
  for (const name of missing) delete env[name];
  const errors: SecretsError[] = [];
  for (const { name, value, as } of list) {
    try {
      if (as === 'file') continue;
      env[name] = variableText(name, value);
      if (process.platform === 'linux') checkVariableSize(name, value);
    } catch (thrown) {
      errors.push(toSecretsError(thrown));
    }
  }
  if (errors.length > 0)
    throw combineErrors(errors, `${errors.length} values can’t be handed to the program`);
  const [command = '', ...rest] = args;
  const file = findProgram(command, env['PATH'], world.cwd);
  if (typeof file === 'number') throw new LookupError(command, file);
  return { file, argv0: command, args: rest, env, files: list.filter(({ as }) => as === 'file') };
}

async function launch(
  session: Session,
  start: Prepared,
  options: ExecOptions,
  variables: readonly Variable[],
  renewing: Renewing | undefined,
): Promise<number> {
  const { world } = session;
  const redact = options.redact ?? inCI(world);
  // The values are in our hands: a sign-in has to live on only if the program uses it too, or we read them again.
  const kept =
    options.keepCredentials === true || renewing !== undefined
      ? session.stores.opened().filter((provider) => provider.keepAlive !== undefined)
      : [];
  await registerWith(session, variables, options);
  if (redact) warnOfShort(session, variables);
  else if (start.files.length === 0 && kept.length === 0 && renewing === undefined) {
    await session.close();
    replaceProcess(start, world);
  }
  const growing = redact && renewing !== undefined ? new GrowingMasks(maskable(variables)) : undefined;
  const masks: Masks | undefined = growing ?? (redact ? new Masker(maskable(variables)) : undefined);
  const pty = redact ? await terminalFor(session) : undefined;
  // From here on signals are the child's, not ours.
  const guard = new Guard();
  const relay = new SignalRelay((pid) => guard.program(pid));
  session.releaseSignals();
  const once = (ready: Start): Promise<Ended> => {
    if (masks === undefined) return runInherited(ready, relay);
    if (pty === undefined) return runMasked(ready, relay, masks);
    return runInTerminal(pty, ready, relay, masks, world);
  };
  const ended = await withFiles(session, guard, (files) =>
    whileAlive(session, kept, () => {
      if (renewing === undefined) return once({ ...start, env: files.write(start.env, start.files) });
      return supervise(renewing.supervision(relay, files, growing, once));
    }),
  )
    .then((outcome) => relay.settle(outcome))
    .finally(() => {
      relay.stop();
      guard.stop();
    });
  if (ended.signal === 'SIGINT' && relay.interrupted) {
    // A shell ends its script after Ctrl-C only if we die of it too.
    await session.close();
    process.kill(process.pid, 'SIGINT');
  }
  return ended.code;
}

function inCI(world: World): boolean {
  const ci = world.env['CI'] ?? '';
  return ci !== '' && ci !== 'false' && ci !== '0';
}

/** The package for a pseudo-terminal, when the child would see a terminal without us. */
async function terminalFor(session: Session): Promise<Pty | undefined> {
  const { stdin, stdout, stderr } = session.world;
  if (stdin.isTTY !== true || stdout.isTTY !== true || stderr.isTTY !== true) return undefined;
  const pty = await loadPty();
  if (pty === undefined) {
    session.warn(
      'the program sees pipes instead of a terminal: the package @lydell/node-pty is not installed',
    );
  }
  return pty;
}

/** Removes the child's files after it: whatever happens in between. */
async function withFiles(
  session: Session,
  guard: Guard,
  work: (files: ChildFiles) => Promise<Ended>,
): Promise<Ended> {
  const files = new ChildFiles({
    env: session.world.env,
    uid: session.world.uid,
    debug: (message) => session.debug(message),
    made: (folder) => guard.files(folder),
  });
  try {
    return await work(files);
  } finally {
    files.remove();
  }
}

/** Keeps the stores' sign-in alive as long as the child runs. */
async function whileAlive(
  session: Session,
  providers: readonly Provider[],
  work: () => Promise<Ended>,
): Promise<Ended> {
  const ended = new AbortController();
  const alive = providers.map(async (provider) => {
    await provider.keepAlive?.((message) => session.warn(message), ended.signal);
  });
  try {
    return await work();
  } finally {
    ended.abort();
    await Promise.allSettled(alive);
  }
}
