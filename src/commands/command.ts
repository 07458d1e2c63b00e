/**
 * What a command looks like from outside: its flags and help, as data. The work is a module of its own that is
 * imported when the command runs, so that start-up pays for one command and not for all.
 */
import type { Session } from '../session/session.ts';

export interface ArgumentSpec {
  /** As commander writes it: `<ref>`, `[ref]`, `<ref...>`. */
  readonly name: string;
  readonly description: string;
}

export interface OptionSpec {
  /** As commander writes it: `-k, --key <name>`, `--no-x`. */
  readonly flags: string;
  readonly description: string;
  /** May be given several times; the values come as an array. */
  readonly repeat?: boolean;
  readonly choices?: readonly string[];
}

export interface ExampleSpec {
  readonly command: string;
  readonly does: string;
}

/** What a parsed command line comes to. Options are keyed in camel case, as commander does. */
export interface Invocation<Options = Readonly<Record<string, unknown>>> {
  readonly args: readonly string[];
  readonly options: Options;
}

/** A module of src/commands: does the work, returns the exit code (nothing means 0). */
export interface CommandModule {
  run(session: Session, invocation: Invocation<never>): Promise<number | void>;
}

export interface CommandSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Heading it stands under in `secrets --help`. */
  readonly group: 'Secrets' | 'Injection' | 'Transfer' | 'Audit' | 'Access' | 'Stores' | 'Setup';
  readonly summary: string;
  /** More for the command's own --help, after the summary. */
  readonly description?: string;
  readonly args?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  readonly examples: readonly ExampleSpec[];
  /** Everything after the first argument belongs to a program that is run. */
  readonly passThrough?: boolean;
  /** Left out of help and completion: another program runs it. */
  readonly hidden?: boolean;
  /** Completion: what the first argument is. */
  readonly completes?: 'reference' | 'store' | 'file' | 'command';
  /** Nouns with verbs of their own, such as `stores rekey`. */
  readonly subcommands?: readonly CommandSpec[];
  /** Missing for a noun that only has subcommands. */
  readonly load?: () => Promise<CommandModule>;
}
