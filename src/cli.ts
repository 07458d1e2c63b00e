/** The program: builds the command line from the specs, runs one command, turns an error into an exit code. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { get } from './commands/get.spec.ts';
import { type CommonOptions, commonOptions } from './commands/options.ts';
import type { CommandSpec, OptionSpec } from './commands/spec.ts';
import { EXIT_CODES, SecretsError, toSecretsError } from './core/errors.ts';
import { reportError } from './output/report.ts';
import { singleLine } from './output/sanitize.ts';
import { Session } from './session.ts';
import { version } from './version.ts';
import type { World } from './world.ts';

/** Longest line about a command line that is shown. */
const MAX_LINE = 2000;
/** 128 + SIGINT, as shells count. */
const INTERRUPTED = 130;
/** The reader of stdout went away: the first write after that, and the later ones. */
const PIPE_CLOSED: ReadonlySet<string> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/** Runs one command line to its end. Resolves to the exit code; never rejects. */
export async function main(world: World): Promise<number> {
  let exitCode = 0;
  const program = createProgram(world, await neededCommands(world.argv[0]), async (...line) => {
    exitCode = await runCommand(world, ...line);
  });
  try {
    await program.parseAsync([...world.argv], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT_CODES.Usage;
    return fail(world, {}, thrown);
  }
}

type Line = readonly [spec: CommandSpec, args: readonly string[], options: CommonOptions, verb: string];
type Action = (...line: Line) => Promise<void>;

/** The commander program. Exported for completion and for the documentation's tests. */
export function createProgram(world: World, commands: readonly CommandSpec[], action: Action): Command {
  const program = new Command('secrets')
    .helpOption('-h, --help', 'print help')
    .enablePositionalOptions()
    .showHelpAfterError('(try --help)')
    .configureOutput({
      writeOut: (text) => world.stdout.write(text),
      writeErr: (text) => world.stderr.write(text),
      outputError: (text, write) => {
        // What was typed stands in it: no line of it may hold control characters.
        const lines = text.replace(/^error: /, '').split('\n');
        write(`secrets: ${lines.map((line) => singleLine(line.slice(0, MAX_LINE))).join('\n')}`);
      },
      getOutHelpWidth: () => world.stdout.columns ?? 100,
      getErrHelpWidth: () => world.stderr.columns ?? 100,
    })
    .exitOverride();
  // One command alone was named by the first word: no option of the program's own stands before it.
  if (commands.length > 1) {
    program
      .description('One command line for every secret manager.')
      .version(version, '-V, --version', 'print the version')
      .helpCommand('help [command]', 'print help for a command');
    addOptions(program, commonOptions);
  } else program.helpCommand(false);
  for (const spec of commands) addCommand(program, spec, action);
  return program;
}

/** The one command that is asked for, or all where the first word is none: for help and suggestions. */
async function neededCommands(word: string | undefined): Promise<readonly CommandSpec[]> {
  // What programs start most often does not read the words of all the others.
  if (word === get.name) return [get];
  if (word === 'exec') return [(await import('./commands/exec.spec.ts')).exec];
  const { commands } = await import('./commands/index.ts');
  const named = commands.filter(
    ({ name, aliases }) => name === word || aliases?.includes(word ?? '') === true,
  );
  return named.length > 0 ? named : commands;
}

function addCommand(parent: Command, spec: CommandSpec, action: Action): void {
  const command = parent.command(spec.name).summary(spec.summary).helpGroup(`${spec.group}:`);
  command.description(
    spec.description === undefined ? spec.summary : `${spec.summary}\n\n${spec.description}`,
  );
  command.aliases([...(spec.aliases ?? [])]);
  for (const { name, description } of spec.args ?? []) command.argument(name, description);
  addOptions(command, spec.options ?? []);
  command.optionsGroup('Common options:');
  addOptions(command, commonOptions);
  if (spec.passThrough === true) command.passThroughOptions();
  command.addHelpText('after', () => exampleText(spec));
  for (const subcommand of spec.subcommands ?? []) addCommand(command, subcommand, action);
  if (spec.load === undefined) return;
  command.action(async () => {
    const verb = parent.parent === null ? spec.name : `${parent.name()} ${spec.name}`;
    await action(spec, command.args, givenOptions(command), verb);
  });
}

/** Options of the command and those before its name; a default (`--no-color` has one) never beats what was given. */
function givenOptions(command: Command): CommonOptions {
  const options = command.optsWithGlobals<Record<string, unknown>>();
  for (const [name, value] of Object.entries(command.opts())) {
    if (command.getOptionValueSource(name) === 'cli') options[name] = value;
  }
  return options;
}

function addOptions(command: Command, specs: readonly OptionSpec[]): void {
  for (const { flags, description, repeat, choices } of specs) {
    const option = new Option(flags, description);
    if (choices !== undefined) option.choices([...choices]);
    if (repeat === true) {
      option.argParser((value: string, previous: readonly string[] | undefined) => {
        // This takes the place of commander's own check.
        if (choices?.includes(value) === false)
          throw new InvalidArgumentError(`Allowed choices are ${choices.join(', ')}.`);
        return [...(previous ?? []), value];
      });
    }
    command.addOption(option);
  }
}

function exampleText(spec: CommandSpec): string {
  if (spec.examples.length === 0) return '';
  const lines = spec.examples.map(({ command, does }) => `  # ${does}\n  $ ${command}`);
  return `\nExamples:\n${lines.join('\n\n')}\n`;
}

async function runCommand(world: World, ...[spec, args, options, verb]: Line): Promise<number> {
  const session = new Session(world, options, verb);
  const stopListening = world.onSignal('SIGINT', () => session.stop());
  session.releaseSignals = stopListening;
  try {
    if (spec.load === undefined) throw new SecretsError('Usage', `${spec.name} needs a verb`);
    const { run } = await spec.load();
    const code = await run(session, { args, options: options as never });
    return session.interrupt.signal.aborted ? INTERRUPTED : (code ?? 0);
  } catch (thrown) {
    if (session.interrupt.signal.aborted) return INTERRUPTED;
    return fail(world, options, thrown);
  } finally {
    await session.deliver();
    stopListening();
    await session.close();
  }
}

function fail(world: World, options: CommonOptions, thrown: unknown): number {
  if (thrown instanceof Error && thrown.name === 'Interrupted') return INTERRUPTED;
  // The reader of our output went away (`secrets list | head -1`): not an error of ours.
  if (thrown instanceof Error && PIPE_CLOSED.has((thrown as NodeJS.ErrnoException).code ?? '')) return 0;
  const error = toSecretsError(thrown);
  reportError(world, error, options);
  return error.exitCode;
}
