/** The program: parses the command line, runs one command, and turns an error into an exit code. */
import type { Line } from './command-line.ts';
import { get } from '../commands/get.cli.ts';
import type { CommonOptions } from '../session/options.ts';
import type { CommandSpec } from '../commands/command.ts';
import { SecretsError, toSecretsError } from '../core/errors.ts';
import { reportError } from '../output/report.ts';
import { deliverRecords } from '../session/delivery.ts';
import { Session } from '../session/session.ts';
import type { ProgramWorld } from '../config/kinds.ts';

/** 128 + SIGINT, as in shells. */
const INTERRUPTED = 130;
/** The reader of stdout is gone: the first write after that, and the later ones. */
const PIPE_CLOSED: ReadonlySet<string> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/** Runs one command line. Resolves to the exit code; never rejects. */
export async function main(world: ProgramWorld): Promise<number> {
  try {
    const plain = plainGet(world.argv);
    if (plain !== undefined) return await runCommand(world, ...plain);
    const { parseLine } = await import('./command-line.ts');
    let exitCode = 0;
    const answered = await parseLine(world, await neededCommands(world.argv[0]), async (...line) => {
      exitCode = await runCommand(world, ...line);
    });
    return answered ?? exitCode;
  } catch (thrown) {
    return await fail(world, {}, thrown);
  }
}

/**
 * The most frequent call is `get` with references and nothing else, which needs no parsing: this gives the same
 * result without loading the parser, which takes a tenth of such a start.
 */
export function plainGet([word, ...args]: readonly string[]): Line | undefined {
  if (word !== get.name || args.length === 0 || args.some((arg) => arg.startsWith('-'))) return undefined;
  return [get, args, { agent: true, color: true }, get.name];
}

/** The command that the first word names, or all of them for help and suggestions. */
async function neededCommands(word: string | undefined): Promise<readonly CommandSpec[]> {
  // The most frequent commands don't load the specs of all the others.
  if (word === get.name) return [get];
  if (word === 'exec') return [(await import('../commands/exec/exec.cli.ts')).exec];
  const { commands } = await import('../commands/index.ts');
  const named = commands.filter(
    ({ name, aliases }) => name === word || aliases?.includes(word ?? '') === true,
  );
  return named.length > 0 ? named : commands;
}

async function runCommand(world: ProgramWorld, ...[spec, args, options, verb]: Line): Promise<number> {
  const session = new Session(world, options, verb);
  const stopListening = world.onSignal('SIGINT', () => session.run.stop());
  session.releaseSignals = stopListening;
  try {
    if (spec.load === undefined) throw new SecretsError('Usage', `${spec.name} needs a verb`);
    const { run } = await spec.load();
    const code = await run(session, { args, options: options as never });
    return session.interrupt.signal.aborted ? INTERRUPTED : (code ?? 0);
  } catch (thrown) {
    session.statusLine.clear();
    if (session.interrupt.signal.aborted) return INTERRUPTED;
    await session.output.said();
    return await fail(world, options, thrown);
  } finally {
    await deliverRecords(session);
    stopListening();
    await session.close();
    await session.output.said();
  }
}

async function fail(world: ProgramWorld, options: CommonOptions, thrown: unknown): Promise<number> {
  if (thrown instanceof Error && thrown.name === 'Interrupted') return INTERRUPTED;
  // The reader of our output is gone (`secrets list | head -1`), which isn't an error.
  if (thrown instanceof Error && PIPE_CLOSED.has((thrown as NodeJS.ErrnoException).code ?? '')) return 0;
  const error = toSecretsError(thrown);
  await reportError(world, error, options);
  return error.exitCode;
}
