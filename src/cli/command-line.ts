/** The command line as commander parses it, built from the specs. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type CommonOptions, commonOptions } from '../session/options.ts';
import type { CommandSpec, OptionSpec } from '../commands/command.ts';
import { EXIT_CODES } from '../core/errors.ts';
import { looksLikeValue } from '../core/text/suspect.ts';
import { clean, withhold } from '../output/confidential.ts';
import { singleLine } from '../core/text/sanitize.ts';
import { version } from '../core/version.ts';
import type { World } from '../platform/world.ts';

/** Longest line about a command line that is shown. */
const MAX_LINE = 2000;

/** `exec` failed before it started a program, as `env` and `timeout` say it. */
const EXEC_FAILED = 125;

/** What a command line asks for. */
export type Line = readonly [
  spec: CommandSpec,
  args: readonly string[],
  options: CommonOptions,
  verb: string,
];
export type Action = (...line: Line) => Promise<void>;

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
        // What was typed stands in it: no line of it may hold a value, nor control characters.
        for (const word of wordsBefore(world.argv)) if (looksLikeValue(word)) withhold(word);
        const lines = clean(text, world)
          .replace(/^error: /, '')
          .split('\n');
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

/**
 * Parses the world's command line and has the action do what it asks for.
 * @returns the exit code when the parser gave the answer: help, or what is wrong with the line
 */
export async function parseLine(
  world: World,
  commands: readonly CommandSpec[],
  action: Action,
): Promise<number | undefined> {
  let named: string | undefined;
  try {
    const program = createProgram(world, commands, action);
    program.hook('preSubcommand', (_, subcommand) => {
      named = subcommand.name();
    });
    await program.parseAsync([...world.argv], { from: 'user' });
    return undefined;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return 0;
      // Any other code could be the program's own.
      return named === 'exec' ? EXEC_FAILED : EXIT_CODES.Usage;
    }
    throw thrown;
  }
}

/** The words of a command line, and what they assign; not those of a program that is to be started. */
function wordsBefore(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).map((word) => word.replace(/^-[^=]*=/, ''));
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
