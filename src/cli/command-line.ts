/** Parses the command line with commander, based on the command specs. */
import { Command, CommanderError, Help, InvalidArgumentError, Option } from 'commander';
import type { CommonOptions } from '../session/options.ts';
import { commonOptions } from '../commands/common-options.ts';
import type { CommandSpec, OptionSpec } from '../commands/command.ts';
import { EXIT_CODES, SecretsError } from '../core/errors.ts';
import { looksLikeValue } from '../core/text/suspect.ts';
import { withhold } from '../output/confidential.ts';
import { reportError } from '../output/report.ts';
import { version } from '../core/version.ts';
import type { World } from '../platform/world.ts';

/** `exec` or `agent run` failed before it started a program, with the same code as `env` and `timeout`. */
const EXEC_FAILED = 125;

const COMMON_OPTIONS = 'Common options:';
/** Replaces these options in every help text. */
const COMMON_OPTIONS_LINE = `${COMMON_OPTIONS} secrets help options`;

/** A parsed command line. */
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
    .helpOption('-h, --help', 'Show this help')
    .configureHelp({ subcommandTerm, formatItemList, longestOptionTermLength })
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => world.stdout.write(text),
      writeErr: (text) => world.stderr.write(text),
      // `parseLine` reports what is wrong with the line.
      outputError: () => {},
      getOutHelpWidth: () => world.stdout.columns ?? 100,
      getErrHelpWidth: () => world.stderr.columns ?? 100,
    })
    .exitOverride();
  // With a single command, the first word was its name, so no global option comes before it.
  if (commands.length > 1) {
    program
      .description('One command line for every secret manager.')
      .version(version, '-V, --version', 'Show the version')
      .addHelpText('after', `\n${COMMON_OPTIONS_LINE}`);
    addCommonOptions(program);
  }
  program.helpCommand(false);
  for (const spec of commands) addCommand(program, spec, action);
  if (commands.length > 1) addHelpCommand(program);
  return program;
}

/**
 * Parses the command line and runs the action for it.
 * @returns the exit code if the parser handled the line itself: help or a usage error
 */
export async function parseLine(
  world: World,
  commands: readonly CommandSpec[],
  action: Action,
): Promise<number | undefined> {
  let named: Command | undefined;
  try {
    const program = createProgram(world, commands, action);
    program.hook('preSubcommand', (_, subcommand) => {
      named = subcommand;
    });
    await program.parseAsync([...world.argv], { from: 'user' });
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    if (thrown.exitCode === 0) return 0;
    if (thrown.code !== 'commander.help') {
      const words = wordsBefore(world.argv);
      // The message repeats the user's input, which may be a value.
      for (const word of words) if (looksLikeValue(word)) withhold(word);
      await reportError(world, usageError(thrown, helpFor(named, words)), { json: words.includes('--json') });
    }
    // Any other code could be the program's own.
    const isAgentRun = named?.name() === 'agent' && wordsBefore(world.argv).includes('run');
    return named?.name() === 'exec' || isAgentRun ? EXEC_FAILED : EXIT_CODES.Usage;
  }
}

/** A line that can't be parsed, as an error like any other: one line, or JSON with `--json`. */
function usageError({ message }: CommanderError, help: string): SecretsError {
  const [what = '', ...more] = message.replace(/^error: /, '').split('\n');
  const suggestion = /^\(Did you mean (.*)\?\)$/.exec(more.join(' '))?.[1];
  return new SecretsError('Usage', what.replace(/\.$/, ''), {
    hint: suggestion === undefined ? `see ${help}` : `did you mean ${suggestion}?`,
  });
}

/** The command line that shows help for what was called. */
function helpFor(named: Command | undefined, words: readonly string[]): string {
  const nested = named?.commands.find((one) => words.includes(one.name()) && one.name() !== 'help');
  const path = [named, nested].flatMap((one) =>
    one === undefined || one.name() === 'help' ? [] : [one.name()],
  );
  return ['secrets help', ...path].join(' ');
}

/** The words of a command line, and the values that they assign, without those of a program to start. */
function wordsBefore(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).map((word) => word.replace(/^-[^=]*=/, ''));
}

function addCommand(parent: Command, spec: CommandSpec, action: Action): void {
  const group = parent.parent === null ? spec.group : 'Commands';
  const hidden = spec.hidden === true;
  const command = parent.command(spec.name, { hidden }).summary(spec.summary).helpGroup(`${group}:`);
  command.description(
    spec.description === undefined ? spec.summary : `${spec.summary}\n\n${spec.description}`,
  );
  command.aliases([...(spec.aliases ?? [])]);
  for (const { name, description } of spec.args ?? []) command.argument(name, description);
  addOptions(command, spec.options ?? []);
  addCommonOptions(command);
  if (spec.load === undefined) command.helpCommand('help [command]', 'Show help for a command');
  if (spec.passThrough === true) command.passThroughOptions();
  command.addHelpText('after', () => `\n${COMMON_OPTIONS_LINE}\n${exampleText(spec)}`);
  for (const subcommand of spec.subcommands ?? []) addCommand(command, subcommand, action);
  if (spec.load === undefined) return;
  command.action(async () => {
    const verb = parent.parent === null ? spec.name : `${parent.name()} ${spec.name}`;
    await action(spec, command.args, givenOptions(command), verb);
  });
}

/**
 * Options of the command and those before its name. A default (`--no-color` has one) never overrides a given option.
 */
function givenOptions(command: Command): CommonOptions {
  const options = command.optsWithGlobals<Record<string, unknown>>();
  for (const [name, value] of Object.entries(command.opts())) {
    if (command.getOptionValueSource(name) === 'cli') options[name] = value;
  }
  return options;
}

/** `secrets help [command...]`. Our own command, because commander's knows neither subcommands nor topics. */
function addHelpCommand(program: Command): void {
  const help = program.command('help').description('Show help for a command');
  addCommonOptions(help);
  help
    .argument('[command...]', 'A command, or "options" for the common options')
    .helpGroup('Setup:')
    .action((words: readonly string[]) => {
      if (words[0] === 'options') {
        commonOptionsPage(program).outputHelp();
        return;
      }
      let found = program;
      for (const word of words) {
        const next = found.commands.find((one) => one.name() === word || one.aliases().includes(word));
        if (next === undefined) throw unknownCommand(words);
        found = next;
      }
      found.help();
    });
}

function unknownCommand(words: readonly string[]): CommanderError {
  return new CommanderError(
    EXIT_CODES.Usage,
    'commander.unknownCommand',
    `unknown command '${words.join(' ')}'`,
  );
}

/** A command that is never run, used for its help page. */
function commonOptionsPage(program: Command): Command {
  const page = new Command('secrets')
    .copyInheritedSettings(program)
    .usage('<command> [options]')
    .description('Options of every command, before or after its name.')
    .helpOption(false);
  addOptions(page, commonOptions);
  return page;
}

/** The common options belong to every command but are hidden from its help. Commander still suggests them. */
function addCommonOptions(command: Command): void {
  command.optionsGroup(COMMON_OPTIONS);
  addOptions(command, commonOptions);
}

function formatItemList(heading: string, items: string[], helper: Help): string[] {
  return heading === COMMON_OPTIONS ? [] : Help.prototype.formatItemList.call(helper, heading, items, helper);
}

/** The width of the options column, not counting hidden options. */
function longestOptionTermLength(command: Command, helper: Help): number {
  const shown = helper
    .visibleOptions(command)
    .filter(({ helpGroupHeading }) => helpGroupHeading !== COMMON_OPTIONS);
  return Math.max(0, ...shown.map((option) => helper.optionTerm(option).length));
}

/** How a command appears in a list: name, aliases and arguments. */
function subcommandTerm(command: Command): string {
  const args = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? ` <${name}>` : ` [${name}]`;
  });
  return `${[command.name(), ...command.aliases()].join('|')}${args.join('')}`;
}

function addOptions(command: Command, specs: readonly OptionSpec[]): void {
  for (const { flags, description, repeat, choices } of specs) {
    const option = new Option(flags, description);
    if (choices !== undefined) option.choices([...choices]);
    if (repeat === true) {
      option.argParser((value: string, previous: readonly string[] | undefined) => {
        // Replaces commander's own check.
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
